#pragma once
/// A function for each kind of filter. Called by make_filters(), which says in what order.
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "nsboot_lb/config/config.hpp"
#include "nsboot_lb/filter/filters.hpp"
#include "nsboot_lb/forward/filter.hpp"

namespace nsboot_lb::filter {

using FilterPtr = std::unique_ptr<const forward::Filter>;
using MadeFilter = std::expected<FilterPtr, std::string>;

/// allow and deny: 403.
FilterPtr make_address_list(const config::Route& route);
/// 401.
MadeFilter make_basic_auth(const config::BasicAuth& auth, const Surroundings& surroundings);
/// 413 for what Content-Length announces. A body without it is the relay's to count.
FilterPtr make_body_size(std::uint64_t most_bytes);
FilterPtr make_rewrite(const config::Rewrite& rewrite);
MadeFilter make_request_headers(const config::HeaderChanges& changes);
MadeFilter make_response_headers(const config::HeaderChanges& changes);
/// The same for a route that answers by itself: there is no server's response, only fields to add.
MadeFilter make_answer_headers(const config::HeaderChanges& changes);
/// 502.
FilterPtr make_reject_content_type(std::span<const std::string> types);

}  // namespace nsboot_lb::filter
