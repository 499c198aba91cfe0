#pragma once
/// Where a request would come in, as far as its URL tells. Pure.
#include <string>

#include "nsboot_lb/config/config.hpp"
#include "request.hpp"

namespace nsboot_lb::explain {

/// A line "listener: …" for each candidate, or one that says that none listens there.
std::string listeners_text(const config::Config& config, const AskedRequest& asked);

}  // namespace nsboot_lb::explain
