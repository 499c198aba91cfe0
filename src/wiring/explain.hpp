#pragma once
/// `nsboot-lb explain`: what the configuration in a file would do with a request, and why. Nothing is sent, no port is
/// bound; only names of servers are looked up. Called by main on its thread.
#include <ostream>
#include <string>

#include "explain_request.hpp"

namespace nsboot_lb::wiring {

/// Prints the explanation to `out`, problems to `errors`. The exit status: 0 explained, 1 the configuration cannot be
/// used, 2 the arguments cannot.
int explain(const std::string& file, const ExplainArguments& arguments, std::ostream& out, std::ostream& errors);

}  // namespace nsboot_lb::wiring
