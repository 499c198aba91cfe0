#pragma once
/// One request and its response, from the first byte of the one to the last of the other: what was asked, what has been
/// decided, what has become of it. It knows no protocol and no socket. Made by the session that reads the request,
/// recycled by its worker.
#include <array>
#include <bitset>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include "nsboot_lb/base/cidr.hpp"
#include "nsboot_lb/http/body.hpp"
#include "nsboot_lb/http/head.hpp"
#include "nsboot_lb/http/template.hpp"
#include "nsboot_lb/net/wait.hpp"
#include "nsboot_lb/observe/reason.hpp"
#include "nsboot_lb/observe/statistics.hpp"

namespace nsboot_lb::forward {

struct WorkerView;
struct RouteView;
struct TunnelView;
class Tunnel;

/// Who asks, as exchanges see it. Owned by the session, on one worker.
struct Client {
    base::IpAddress address;  ///< of the peer, or of whom a trusted PROXY header named
    std::array<char, 46> address_text{};
    std::uint8_t address_size = 0;
    bool trusted = false;  ///< the peer is among forwarded.trust
    observe::ListenerCounters* counters = nullptr;

    std::string_view text() const { return {address_text.data(), address_size}; }
};

/// Body bytes of an exchange that went one way. The listener's counter grows as they move: a download of an hour shows
/// while it goes on.
class MovedBytes {
  public:
    void count_in(observe::Counter& counter) { counter_ = &counter; }
    MovedBytes& operator+=(std::uint64_t bytes) {
        total_ += bytes;
        if (counter_ != nullptr) counter_->add(bytes);
        return *this;
    }
    operator std::uint64_t() const { return total_; }

  private:
    std::uint64_t total_ = 0;
    observe::Counter* counter_ = nullptr;
};

/// What has become of the response. What that means for the connection is the session's business.
enum class End : std::uint8_t {
    complete,   ///< all of it was sent
    cut_short,  ///< the client must notice that it is not whole
};

/// Bytes of a request head, with room for small ones without asking the allocator again.
class HeadBuffer {
  public:
    static constexpr std::size_t first_size = 4096;
    std::span<char> room() { return {bytes_.get() + size_, capacity_ - size_}; }
    std::string_view text() const { return {bytes_.get(), size_}; }
    std::size_t capacity() const { return capacity_; }
    void added(std::size_t size) { size_ += size; }
    void truncate(std::size_t size) { size_ = size; }
    void append(std::string_view bytes);
    /// Makes room for more; views into the text are void.
    void grow();
    /// Forgets the text, and the memory of a head that was unusually large.
    void clear();

  private:
    std::size_t capacity_ = first_size;
    std::size_t size_ = 0;
    std::unique_ptr<char[]> bytes_ = std::make_unique_for_overwrite<char[]>(first_size);
};

struct Exchange {
    // What was asked. Views of `request` point into `head`, or into the texts below once a filter replaced them.
    HeadBuffer head;
    http::RequestHead request;
    const Client* client = nullptr;
    http::BodySource* request_body = nullptr;  ///< also where there is none: then it has ended
    http::ResponseSink* response = nullptr;    ///< where the response goes
    net::Scope* scope = nullptr;               ///< of all that is done for it; cancelled when the client leaves
    base::IpAddress client_address;            ///< behind trusted proxies, the one they name
    std::string client_text;                   ///< of client_address, if it is not the connection's
    std::string_view scheme = "http";
    std::string rewritten_target;
    std::array<char, 32> made_id{};
    std::string_view request_id;
    net::TimePoint began{};

    // What was decided.
    boost::intrusive_ptr<WorkerView> view;
    const RouteView* route = nullptr;
    std::shared_ptr<const TunnelView> tunnel_view;  ///< of a tunnel: what `route` is in, instead of `view`
    std::vector<std::uint16_t> tried;               ///< endpoints, by index in the pool
    std::vector<std::uint16_t> unreachable;         ///< of these: no connection could be made
    std::vector<std::pair<std::string, std::string>> request_additions;  ///< fields to add, made by filters
    std::vector<std::pair<std::string, std::string>> response_additions;
    std::string host_text;  ///< of a Host field that a filter put in place of the client's
    /// Fields that filters set or removed: the proxy writes none of its own with these names.
    std::bitset<http::field_id_count> settled_request_fields;
    std::bitset<http::field_id_count> settled_response_fields;

    // What has become of it, for statistics and the access log.
    int status = 0;  ///< sent to the client; 0 = none
    observe::Reason reason = observe::Reason::none;
    std::uint64_t head_received = 0;  ///< bytes
    MovedBytes body_received;
    std::uint64_t head_sent = 0;  ///< with interim responses
    MovedBytes body_sent;
    std::uint32_t attempts = 0;
    std::string_view server;  ///< name of the last attempt's
    net::TimePoint attempt_began{};
    net::TimePoint upgraded{};  ///< when the exchange became a tunnel
    std::chrono::nanoseconds upstream_duration{};
    Tunnel* tunnel = nullptr;  ///< what it has become, if it has: see end_tunnel()

    std::string_view client_ip() const { return client_text.empty() ? client->text() : client_text; }
    /// What the placeholders of redirects and header changes stand for; views into this.
    http::TemplateValues template_values() const;
    void clear();
};

/// Why an exchange was ended from outside, in the words of the access log.
observe::Reason ended_because(const net::Scope& cancelled);

}  // namespace nsboot_lb::forward
