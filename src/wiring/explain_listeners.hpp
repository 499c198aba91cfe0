#pragma once
/// Where a request would come in, as far as its URL tells. Pure.
#include <string>

#include "explain_request.hpp"
#include "nsboot_lb/config/config.hpp"

namespace nsboot_lb::wiring {

/// A line "listener: …" for each candidate, or one that says that none listens there.
std::string listeners_text(const config::Config& config, const AskedRequest& asked);

}  // namespace nsboot_lb::wiring
