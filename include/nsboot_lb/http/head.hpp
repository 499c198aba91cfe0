#pragma once
/// The head of a message as the rest of the daemon sees it: views into the bytes that were received, checked against
/// RFC 9110 and 9112, with everything that decides about framing, persistence and routing already worked out. Nothing
/// above knows the version of the protocol. A head belongs to its exchange; only the exchange's worker touches it.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <vector>

#include "nsboot_lb/observe/reason.hpp"

namespace nsboot_lb::http {

enum class Method : std::uint8_t { get, head, post, put, delete_, options, patch, connect, trace, other };

/// RFC 9110 9.2.1: asks for nothing to change.
constexpr bool is_safe(Method method) {
    return method == Method::get || method == Method::head || method == Method::options || method == Method::trace;
}
/// RFC 9110 9.2.2: sent twice it has the effect of once.
constexpr bool is_idempotent(Method method) {
    return is_safe(method) || method == Method::put || method == Method::delete_;
}

/// RFC 9112 6.3, 1 and 2: whether a body follows, whatever the fields of the response say.
constexpr bool has_body(Method method, int status) {
    return method != Method::head && status >= 200 && status != 204 && status != 304;
}

/// The fields that the daemon itself looks at. Every other one is `other`.
enum class FieldId : std::uint8_t {
    other,
    // Never cross in either direction (RFC 9110 7.6.1).
    connection,
    keep_alive,
    proxy_connection,
    te,
    transfer_encoding,
    upgrade,
    trailer,
    http2_settings,
    // Framing and routing.
    content_length,
    host,
    expect,
    max_forwards,
    // Written by this proxy.
    via,
    x_forwarded_for,
    x_forwarded_proto,
    x_forwarded_host,
    x_real_ip,
    x_request_id,
    forwarded,
    // Read on the way.
    authorization,
    cookie,
    user_agent,
    referer,
    content_type,
    date,
    set_cookie,
    retry_after,
    server,
    count_
};
inline constexpr std::size_t field_id_count = static_cast<std::size_t>(FieldId::count_);

struct Field {
    std::string_view name;   ///< as it was received
    std::string_view value;  ///< without white space around it
    FieldId id = FieldId::other;
    bool dropped = false;    ///< must not cross: hop-by-hop by its id or because Connection names it, or has a `_`
    bool canonical = false;  ///< received exactly as "name: value\r\n", so its bytes may be copied as they are
};

/// The fields of a message in the order in which they came. Which ids are among them is noted as they are added, so
/// that asking for one that is not there, as most are not, looks at no field.
class Fields {
  public:
    void push_back(const Field& field) {
        if (count_ == room_) grow();
        fields_[count_++] = field;
        if (field.id == FieldId::other) return;
        repeated_ |= present_ & bit(field.id);
        present_ |= bit(field.id);
    }
    /// Forgets the fields and keeps their memory.
    void clear() {
        count_ = 0;
        present_ = 0;
        repeated_ = 0;
    }

    auto* begin(this auto&& self) { return self.fields_.data(); }
    auto* end(this auto&& self) { return self.fields_.data() + self.count_; }
    auto& operator[](this auto&& self, std::size_t index) { return self.fields_[index]; }
    std::size_t size() const { return count_; }
    bool empty() const { return count_ == 0; }

    /// Of ids other than FieldId::other.
    bool has(FieldId id) const { return (present_ & bit(id)) != 0; }
    /// Whether there is more than one with this id.
    bool repeats(FieldId id) const { return (repeated_ & bit(id)) != 0; }
    /// The first field with this id; null if there is none.
    const Field* find(FieldId id) const;
    /// Of the values with this id the first that is not empty; empty if there is none.
    std::string_view value(FieldId id) const;
    /// All fields with this id.
    auto all(this auto&& self, FieldId id) {
        return std::ranges::subrange(self.has(id) ? self.begin() : self.end(), self.end()) |
               std::views::filter([id](const Field& field) { return field.id == id; });
    }

  private:
    void grow();
    static constexpr std::uint32_t bit(FieldId id) { return std::uint32_t{1} << static_cast<unsigned>(id); }
    static_assert(field_id_count <= 32);

    std::vector<Field> fields_;  ///< of room_, of which count_ are in use: adding one is a copy and no more
    std::size_t room_ = 0;
    std::size_t count_ = 0;
    std::uint32_t present_ = 0;
    std::uint32_t repeated_ = 0;
};

/// How the end of a body is found (RFC 9112 6.3).
enum class Framing : std::uint8_t { none, length, chunked, until_close };

enum class UpgradeKind : std::uint8_t { none, websocket, other };

struct RequestHead {
    Method method = Method::other;
    std::string_view method_text;
    std::string_view target;         ///< as it was received, any form (RFC 9112 3.2)
    std::string_view origin_target;  ///< what is sent on: "path?query" byte for byte, or "*"
    std::string_view path;           ///< origin_target without the query
    std::string_view query;          ///< behind the "?"; empty if there is none
    std::string_view host;           ///< uri-host[:port]: of an absolute-form target, else of Host
    int minor_version = 1;
    Framing framing = Framing::none;
    std::uint64_t content_length = 0;  ///< of Framing::length
    bool keep_alive = true;            ///< what the client wants, by version and Connection
    bool expect_continue = false;
    bool accepts_trailers = false;  ///< TE: trailers
    UpgradeKind upgrade = UpgradeKind::none;
    std::optional<std::uint32_t> max_forwards;
    std::string made_target;  ///< what origin_target points to where the request did not have it as it is
    Fields fields;
    std::string_view bytes;  ///< the whole head as received, with its last empty line

    std::string_view value(FieldId id) const { return fields.value(id); }
    const Field* find(FieldId id) const { return fields.find(id); }
    /// The first field with this name (any case), also of fields without an id.
    const Field* find(std::string_view name) const;
    /// Forgets everything but keeps the memory of `fields`.
    void clear();
};

struct ResponseHead {
    int status = 0;  ///< 100 to 999
    std::string_view reason;
    int minor_version = 1;
    Framing framing = Framing::none;  ///< as the message says; the caller knows of HEAD
    std::uint64_t content_length = 0;
    bool has_content_length = false;
    bool length_in_fields = false;  ///< Content-Length crosses where it stands, as one plain number
    bool keep_alive = true;
    bool has_date = false;
    UpgradeKind upgrade = UpgradeKind::none;
    std::string_view upgrade_value;
    std::optional<std::uint32_t> keep_alive_timeout_s;  ///< Keep-Alive: timeout=
    Fields fields;
    std::size_t size = 0;  ///< bytes that the head took

    const Field* find(FieldId id) const { return fields.find(id); }
    std::string_view value(FieldId id) const { return fields.value(id); }
    void clear();
};

/// Limits of a head. A request head over one is answered 431 or 414, a response head over one is a 502.
struct HeadLimits {
    std::size_t header_size = 32 * 1024;  ///< of the whole head in bytes
    std::size_t uri_size = 8 * 1024;
    std::size_t header_count = 100;
};

/// Why a head was refused: the status to answer with, the reason for metrics and logs, and a sentence for the client.
struct HeadError {
    int status = 400;
    observe::Reason reason = observe::Reason::none;
    std::string_view text;
};

}  // namespace nsboot_lb::http
