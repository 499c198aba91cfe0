#pragma once
/// Text with placeholders, such as "https://{host}{uri}" in a redirect or "{client_ip}" in a header, parsed once with
/// the configuration. Immutable, part of a Snapshot; any thread may expand it.
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace nsboot_lb::http {

/// What the placeholders of the same names stand for. The views come from a head that was checked; they have to live
/// only as long as the call.
struct TemplateValues {
    std::string_view client_ip;
    std::string_view host;    ///< without port: without_port(head.host), so that https://{host} leads to the https port
    std::string_view uri;     ///< path and query as received: head.origin_target
    std::string_view path;    ///< as received
    std::string_view query;   ///< without "?"
    std::string_view scheme;  ///< "http" or "https"
    std::string_view request_id;
};

/// The uri-host of uri-host[:port] (RFC 9110 7.2), an IPv6 address with its brackets.
constexpr std::string_view without_port(std::string_view host) {
    return host.substr(0, host.find(':', host.starts_with('[') ? host.find(']') : 0));
}

/// `{{` stands for `{`, `}}` for `}`; a `}` that closes nothing stands for itself.
class Template {
  public:
    /// What is wrong, as text: an unknown placeholder, a `{` without `}`, a control character.
    static std::expected<Template, std::string> parse(std::string_view text);

    /// Appends to `out`. Control characters of values (there should be none) are left out: a value can never end a
    /// field line or a URI.
    void expand(const TemplateValues& values, std::string& out) const;

  private:
    /// Literal text and the value that follows it, if one does.
    struct Part {
        std::string literal;
        std::string_view TemplateValues::* value = nullptr;
    };
    std::vector<Part> parts_;
};

}  // namespace nsboot_lb::http
