#pragma once
/// What --version prints. Any thread.
#include <string>

namespace nsboot_lb::wiring {

/// The daemon's version and those of the libraries it was built with or runs with, a line each.
std::string version_text();

}  // namespace nsboot_lb::wiring
