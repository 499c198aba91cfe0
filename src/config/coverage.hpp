#pragma once
/// Whether a route can ever match, or one before it takes every request that it would. Matches are filed under what
/// they ask for, so that each is compared with the few that may cover it and not with all. Used by one thread, while a
/// configuration is checked.
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "nsboot_lb/config/config.hpp"

namespace nsboot_lb::config {

class Coverage {
  public:
    /// The first match before this one of which it is certain that it matches whatever this one does. Numbers must
    /// rise.
    std::optional<std::size_t> add(const Match& match, std::size_t number);

    /// Look-ups and comparisons so far: what the time grows with.
    std::size_t steps() const { return steps_; }

  private:
    enum Aspect : std::uint8_t { path, host, method, client, header, websocket, aspect_count };
    /// One entry of a match: itself, and behind it what else takes all that it takes.
    using Entry = std::vector<std::string>;
    using Entries = std::array<std::vector<Entry>, aspect_count>;
    /// Entries of filed matches, by number; 0 is none.
    using Id = std::uint32_t;
    using Ids = std::vector<Id>;
    using Asked = std::array<Ids, aspect_count>;
    /// For each entry of a match, which filed ones take it.
    using Takers = std::array<std::vector<Ids>, aspect_count>;
    /// One entry of each aspect in the shape.
    using Combination = std::array<Id, aspect_count>;
    using Shape = std::uint8_t;  ///< aspects, as bits
    struct Hash {
        std::size_t operator()(const Combination& combination) const noexcept;
    };
    struct Filed {
        Asked asked;  ///< each list in ascending order
        std::size_t number = 0;
    };

    Entry path_entry(const PathPattern& pattern) const;
    Entry host_entry(const std::string& host) const;
    Entry client_entry(const base::Cidr& range) const;
    Entries entries_of(const Match& match) const;
    Takers takers_of(const Entries& entries);
    Asked most_telling(const Takers& takers) const;
    static bool covers(const Asked& wide, const Takers& narrow);
    std::optional<std::size_t> first_covering(const Takers& takers);
    Asked learn(const Entries& entries);
    void learn_lengths(const Match& match);
    void file(Asked asked, std::size_t number);

    std::unordered_map<std::string, Id> known_;
    std::vector<std::size_t> popularity_{0};  ///< by Id: how many matches ask for it
    std::vector<Filed> filed_;
    std::unordered_map<Combination, std::vector<std::size_t>, Hash> index_;  ///< into filed_
    std::set<Shape> shapes_;                                                 ///< of the combinations in index_
    // The lengths that filed entries have: a path of a thousand segments has few prefixes that are worth a look.
    std::unordered_set<std::size_t> prefix_lengths_;
    std::unordered_set<std::size_t> wildcard_lengths_;
    std::set<unsigned> range_bits_;
    std::size_t steps_ = 0;
};

}  // namespace nsboot_lb::config
