#pragma once
/// A route's changes to a head, compiled: what request_headers and response_headers have in common. Immutable, part of
/// a filter; any worker may use it.
#include <bitset>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nsboot_lb/config/config.hpp"
#include "nsboot_lb/forward/exchange.hpp"
#include "nsboot_lb/http/head.hpp"
#include "nsboot_lb/http/template.hpp"

namespace nsboot_lb::filter {

class FieldChanges {
  public:
    using Additions = std::vector<std::pair<std::string, std::string>>;

    /// Refuses, as the configuration's own check does, to touch fields that frame the message or belong to one
    /// connection, and templates that do not parse.
    static std::expected<FieldChanges, std::string> compile(const config::HeaderChanges& changes);

    /// Marks the fields that are removed or replaced.
    void drop(http::Fields& fields) const;
    /// What `set` and `add` put there, expanded for this exchange, in their order.
    void append_to(Additions& additions, const forward::Exchange& exchange) const;
    /// The daemon's known fields that are removed or replaced.
    const std::bitset<http::field_id_count>& settled() const { return settled_; }

  private:
    struct Name {
        std::string text;
        http::FieldId id = http::FieldId::other;
    };
    struct Addition {
        std::string name;
        http::Template value;
    };
    static std::expected<Name, std::string> checked(std::string_view name);
    std::expected<void, std::string> compile_additions(const Additions& given, bool replacing);

    std::vector<Name> dropped_;  ///< of `remove` and `set`
    std::vector<Addition> additions_;
    std::bitset<http::field_id_count> settled_;
};

/// The names of the fields: "remove A B, set C, add D".
std::string describe(const config::HeaderChanges& changes);

/// A template with the values of this exchange.
std::string expanded(const http::Template& text, const forward::Exchange& exchange);

}  // namespace nsboot_lb::filter
