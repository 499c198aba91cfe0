#pragma once
/// What explain() writes down while the steps of an exchange are taken: how the route was found, and what each filter
/// did, by the difference that it made to the exchange. In its coroutine; nobody else has one.
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "nsboot_lb/forward/explain.hpp"

namespace nsboot_lb::forward {

class Notes {
  public:
    void before(const Exchange& exchange);
    /// `answers`: its answer ends the exchange.
    void after(const Filter& filter, const Exchange& exchange, bool answers);
    std::vector<FilterNote> take_filters() { return std::exchange(filters_, {}); }

    std::optional<route::Explanation> routes;

  private:
    std::vector<bool> dropped_;  ///< by field of the request
    std::size_t request_additions_ = 0;
    std::size_t response_additions_ = 0;
    std::string target_;
    std::string host_;
    std::vector<FilterNote> filters_;
};

}  // namespace nsboot_lb::forward
