#pragma once
/// The root of the configuration's table. The table itself is in schema/; built once on first use and immutable from
/// then on, so that any thread may use it.
#include "section.hpp"

namespace nsboot_lb::config {

/// The section of the whole file; its object is a Config.
const Section& root_section();

}  // namespace nsboot_lb::config
