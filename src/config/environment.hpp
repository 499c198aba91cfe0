#pragma once
/// References to the environment in values: ${NAME}, ${NAME:-default}, and $${ for a plain "${". Reads the process
/// environment; not to be called while another thread changes it.
#include <expected>
#include <string>
#include <string_view>

#include "nsboot_lb/base/units.hpp"

namespace nsboot_lb::config {

/// The text with its references replaced, at most `max_bytes` long. A variable that is set but empty takes the
/// default, as in a shell.
base::Parsed<std::string> expand_environment(std::string_view text, std::size_t max_bytes);

}  // namespace nsboot_lb::config
