#pragma once
/// The explanation as text: what decides on lines of their own, "word: value", with details indented below
/// (docs/explain.md). Pure.
#include <set>
#include <string>

#include "nsboot_lb/config/config.hpp"
#include "nsboot_lb/forward/exchange.hpp"
#include "nsboot_lb/forward/explain.hpp"
#include "request.hpp"

namespace nsboot_lb::explain {

/// More servers of a pool than this are counted instead of listed.
inline constexpr std::size_t max_listed_servers = 40;
/// Longer bodies are cut.
inline constexpr std::size_t max_shown_body_bytes = 200;

struct Explained {
    const AskedRequest& asked;
    const config::Config& config;
    const forward::Exchange& exchange;  ///< as explain() left it
    const forward::Explanation& told;
    const std::set<std::string>& unresolved;  ///< names of servers
};

std::string explanation_text(const Explained& explained);

}  // namespace nsboot_lb::explain
