#pragma once
/// `nsboot-lb explain`: what the configuration in a file would do with a request, and why. Nothing is sent, no port is
/// bound; only names of servers are looked up. Called by main on its thread.
#include <ostream>
#include <string>
#include <vector>

namespace nsboot_lb::explain {

struct Arguments {
    std::string method;
    std::string url;                   ///< http://host[:port]/path?query, https://…, or a path alone
    std::string from;                  ///< the client's address; empty: this machine's own
    std::vector<std::string> headers;  ///< "Name: value" each
};

/// Prints the explanation to `out`, problems to `errors`. The exit status: 0 explained, 1 the configuration cannot be
/// used, 2 the arguments cannot.
int print_explanation(const std::string& file, const Arguments& arguments, std::ostream& out, std::ostream& errors);

}  // namespace nsboot_lb::explain
