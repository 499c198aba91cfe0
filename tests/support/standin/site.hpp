#pragma once
/// What an NSBoot server answers: its pages, API, boot scripts and images, as functions from a request to a reply.
/// Knows nothing of sockets. One per server, immutable: any thread may call.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include "image.hpp"

namespace nsboot_lb::standin {

using RequestHead = boost::beast::http::request_header<>;

/// `message` is complete but for version, connection options and Content-Length, unless `image` is given: then its body
/// is `length_bytes` of that image from `first` on, and Content-Length says so.
struct Reply {
    boost::beast::http::response<boost::beast::http::string_body> message;
    std::optional<Image> image;
    std::uint64_t first = 0;
    std::uint64_t length_bytes = 0;
};

/// A request target taken apart: "/images/a?size=1MB" has the path "/images/a" and the query "size=1MB".
struct Target {
    explicit Target(std::string_view target);
    std::string_view path;
    std::string_view query;
    /// The value of the first such parameter, percent-decoded; nothing without it.
    std::optional<std::string> parameter(std::string_view name) const;
};

struct Upload {
    std::uint64_t size_bytes = 0;
    std::string sha256;  ///< lower case hexadecimal digits
};

class Site {
  public:
    explicit Site(std::string hostname);

    const std::string& hostname() const { return hostname_; }
    /// Answers everything but uploads, whose body does not fit into a string, and the WebSocket.
    Reply answer(const RequestHead& request, std::string_view body) const;
    Reply answer_upload(const Upload& upload) const;
    Reply problem(boost::beast::http::status status, std::string_view text) const;
    std::string websocket_greeting() const;

  private:
    Reply page(const RequestHead& request, const Target& target, std::string_view body) const;
    Reply system_info() const;
    Reply login(std::string_view body) const;
    Reply boot_script(std::string_view title, const Target& target) const;
    Reply machine_script(const Target& target) const;
    Reply image(const RequestHead& request, const Target& target) const;

    std::string hostname_;
    std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

}  // namespace nsboot_lb::standin
