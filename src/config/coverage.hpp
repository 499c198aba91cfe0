#pragma once
/// Whether one route takes every request that another would. Pure; any thread may use it.
#include "nsboot_lb/config/config.hpp"

namespace nsboot_lb::config {

/// True only if it is certain that whatever `narrow` matches, `wide` matches too.
bool covers(const Match& wide, const Match& narrow);

}  // namespace nsboot_lb::config
