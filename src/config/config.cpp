#include "nsboot_lb/config/config.hpp"

namespace nsboot_lb::config {

std::string_view to_string(Policy policy) {
    switch (policy) {
#define NSBOOT_LB_CASE(name, spelling) \
    case Policy::name: return spelling;
        NSBOOT_LB_POLICIES(NSBOOT_LB_CASE)
#undef NSBOOT_LB_CASE
    }
    return "";
}

std::string_view to_string(SameSite same_site) {
    switch (same_site) {
        case SameSite::none: return "none";
        case SameSite::lax: return "lax";
        case SameSite::strict: return "strict";
    }
    return "";
}

std::string_view to_string(CheckType type) {
    switch (type) {
        case CheckType::http: return "http";
        case CheckType::tcp: return "tcp";
    }
    return "";
}

std::string_view to_string(LogLevel level) {
    switch (level) {
        case LogLevel::trace: return "trace";
        case LogLevel::debug: return "debug";
        case LogLevel::info: return "info";
        case LogLevel::warn: return "warn";
        case LogLevel::error: return "error";
        case LogLevel::off: return "off";
    }
    return "";
}

std::vector<base::Cidr> loopback_addresses() {
    return {base::Cidr::parse("127.0.0.0/8").value(), base::Cidr::parse("::1").value()};
}

}  // namespace nsboot_lb::config
