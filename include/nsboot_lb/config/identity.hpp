#pragma once
/// What a route is found again by when a configuration takes another's place. Pure; any thread may ask.
#include <string>

#include "nsboot_lb/config/config.hpp"

namespace nsboot_lb::config {

/// The name that it was given; without one its match and action as the file would spell them. Never its position: a
/// route that is put before others must not come by what is theirs.
std::string identity_of(const Route& route);

}  // namespace nsboot_lb::config
