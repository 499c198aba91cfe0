#pragma once
/// The request that `nsboot-lb explain` is asked about: from words on the command line to the head that a client would
/// send. Pure; any thread.
#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "nsboot_lb/base/cidr.hpp"
#include "nsboot_lb/explain/explain.hpp"

namespace nsboot_lb::explain {

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
std::expected<AskedRequest, std::string> asked_request(const Arguments& arguments);

}  // namespace nsboot_lb::explain
