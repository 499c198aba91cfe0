#pragma once
/// The request that `nsboot-lb explain` is asked about: from words on the command line to the head that a client would
/// send. Pure; any thread.
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nsboot_lb/base/cidr.hpp"

namespace nsboot_lb::wiring {

struct ExplainArguments {
    std::string method;
    std::string url;                   ///< http://host[:port]/path?query, https://…, or a path alone
    std::string from;                  ///< the client's address; empty: this machine's own
    std::vector<std::string> headers;  ///< "Name: value" each
};

struct AskedRequest {
    std::string head;  ///< as it would be received
    std::string line;  ///< the method and the URL, as given
    base::IpAddress client;
    bool client_given = false;
    std::string scheme;                 ///< of an absolute URL, "http" or "https"; empty for a path alone
    std::string host;                   ///< of an absolute URL, without port and brackets
    std::optional<std::uint16_t> port;  ///< of an absolute URL, the scheme's own if it names none
    bool has_host = true;               ///< else the head is of HTTP/1.0, which needs no Host
};

/// The error says which argument is wrong, how, and what to write instead.
std::expected<AskedRequest, std::string> asked_request(const ExplainArguments& arguments);

}  // namespace nsboot_lb::wiring
