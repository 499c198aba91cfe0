#pragma once
/// The balancing policies: the one list, which the enumeration, the words of the file, the reference and the JSON
/// Schema follow. How to add one: docs/decisions/balancers.md.
#include <array>
#include <string_view>

/// EACH(name, how the file spells it), in the order of the reference.
// clang-format off
#define NSBOOT_LB_POLICIES(EACH)           \
    EACH(round_robin, "round-robin")       \
    EACH(weighted, "weighted")             \
    EACH(least_conn, "least-conn")         \
    EACH(ip_hash, "ip-hash")               \
    EACH(cookie_sticky, "cookie-sticky")   \
    EACH(random_two, "random-two")         \
    EACH(uri_hash, "uri-hash")
// clang-format on

namespace nsboot_lb::config {

#define NSBOOT_LB_NAME(name, spelling) name,
enum class Policy { NSBOOT_LB_POLICIES(NSBOOT_LB_NAME) };
#undef NSBOOT_LB_NAME

#define NSBOOT_LB_VALUE(name, spelling) Policy::name,
inline constexpr std::array policies{NSBOOT_LB_POLICIES(NSBOOT_LB_VALUE)};
#undef NSBOOT_LB_VALUE

/// The policy as the file spells it, such as "least-conn".
std::string_view to_string(Policy policy);

}  // namespace nsboot_lb::config
