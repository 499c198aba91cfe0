#pragma once
/// The dashboard: a page, its script and its style, served from memory. The script polls /api/v1/status and builds the
/// tables with DOM calls alone, so names from the configuration are never taken for markup. Constant; any thread.
#include <cstdint>
#include <string_view>

namespace nsboot_lb::admin {

enum class DashboardFile : std::uint8_t { page, script, style };

std::string_view dashboard_type(DashboardFile file);
std::string_view dashboard_text(DashboardFile file);

/// Nothing but the daemon's own files and data; sent with every answer, so that not even an error page can do more.
inline constexpr std::string_view content_security_policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

}  // namespace nsboot_lb::admin
