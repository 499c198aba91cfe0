#include "coverage.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace nsboot_lb::config {

namespace {

/// A match whose lists have more combinations is filed without the longest ones: what a look-up finds is compared
/// anyway.
constexpr std::size_t max_combinations = 64;

// An entry begins with a letter of its own for each aspect and kind.
std::string path_text(PathMatch kind, std::string_view text) {
    static constexpr std::string_view letters = "epgr";
    return letters[static_cast<std::size_t>(kind)] + std::string(text);
}

std::string host_text(std::string_view text) {
    return "h" + std::string(text);
}

std::string condition_text(const HeaderMatch& condition) {
    const auto test = static_cast<char>('0' + static_cast<int>(condition.test));
    return std::string{'f', test, condition.present ? '+' : '-'} + condition.name + ": " + condition.value;
}

/// Calls `visit` with every way to choose one of each list that the shape has.
template <class Lists, class Shape, class Combination, class Visit>
void each_combination(const Lists& lists, Shape shape, Combination combination, const Visit& visit,
                      std::size_t aspect = 0) {
    while (aspect < lists.size() && (shape >> aspect & 1U) == 0) ++aspect;
    if (aspect == lists.size()) return visit(combination);
    for (const auto id : lists[aspect]) {
        combination[aspect] = id;
        each_combination(lists, shape, combination, visit, aspect + 1);
    }
}

}  // namespace

std::size_t Coverage::Hash::operator()(const Combination& combination) const noexcept {
    std::uint64_t hash = 0;
    for (const auto id : combination) {
        hash = (hash ^ id) * 0x9e3779b97f4a7c15ULL;
        hash ^= hash >> 32;
    }
    return hash;
}

/// "/a/b" is taken by the prefixes "/a/b", "/a/", "/a" and "/": whole segments.
Coverage::Entry Coverage::path_entry(const PathPattern& pattern) const {
    const std::string_view text = pattern.text;
    Entry entry{path_text(pattern.kind, text)};
    if (pattern.kind != PathMatch::exact && pattern.kind != PathMatch::prefix) return entry;
    const auto add_prefix = [&](std::size_t length) {
        if (prefix_lengths_.contains(length)) entry.push_back(path_text(PathMatch::prefix, text.substr(0, length)));
    };
    for (auto slash = text.find('/'); slash != std::string_view::npos; slash = text.find('/', slash + 1)) {
        add_prefix(slash);
        add_prefix(slash + 1);
    }
    add_prefix(text.size());
    return entry;
}

/// "a.b.c" is taken by "*.b.c" and "*.c"; so is "*.b.c" by "*.c".
Coverage::Entry Coverage::host_entry(const std::string& host) const {
    Entry entry{host_text(host)};
    for (auto dot = host.find('.', 1); dot != std::string::npos; dot = host.find('.', dot + 1))
        if (wildcard_lengths_.contains(host.size() - dot + 1)) entry.push_back(host_text("*" + host.substr(dot)));
    return entry;
}

Coverage::Entry Coverage::client_entry(const base::Cidr& range) const {
    Entry entry{"c" + range.text()};
    for (const auto bits : range_bits_)
        if (bits < range.prefix_bits()) entry.push_back("c" + range.widened(bits).text());
    return entry;
}

Coverage::Entries Coverage::entries_of(const Match& match) const {
    Entries entries;
    for (const auto& pattern : match.path) entries[path].push_back(path_entry(pattern));
    for (const auto& name : match.host) entries[host].push_back(host_entry(name));
    for (const auto& word : match.method) entries[method].push_back({"m" + word});
    for (const auto& range : match.client) entries[client].push_back(client_entry(range));
    for (const auto& condition : match.header) entries[header].push_back({condition_text(condition)});
    if (match.websocket) entries[websocket].push_back({*match.websocket ? "w+" : "w-"});
    return entries;
}

Coverage::Takers Coverage::takers_of(const Entries& entries) {
    Takers takers;
    for (std::size_t aspect = 0; aspect < aspect_count; ++aspect)
        for (const auto& entry : entries[aspect]) {
            auto& ids = takers[aspect].emplace_back();
            steps_ += entry.size();
            for (const auto& each : entry)
                if (const auto found = known_.find(each); found != known_.end()) ids.push_back(found->second);
        }
    return takers;
}

/// Entries of which a match that covers this one has at least one, as few as can be told; in aspects that it asks for.
Coverage::Asked Coverage::most_telling(const Takers& takers) const {
    const auto matches = [this](const Ids& ids) {
        std::size_t sum = 0;
        for (const auto id : ids) sum += popularity_[id];
        return sum;
    };
    Asked telling;
    for (std::size_t aspect = 0; aspect < aspect_count; ++aspect) {
        if (takers[aspect].empty()) continue;
        // It takes each entry of a list, also the one that the fewest take. Of conditions it has some.
        if (aspect != header)
            telling[aspect] = std::ranges::min(takers[aspect], {}, matches);
        else
            for (const auto& ids : takers[header])
                telling[header].insert(telling[header].end(), ids.begin(), ids.end());
    }
    return telling;
}

/// All conditions of the wide one must be there; of a list, all entries of the narrow one must be taken.
bool Coverage::covers(const Asked& wide, const Takers& narrow) {
    const auto is_there = [&](Id condition) {
        return std::ranges::any_of(narrow[header], [&](const Ids& ids) { return !ids.empty() && ids[0] == condition; });
    };
    for (std::size_t aspect = 0; aspect < aspect_count; ++aspect) {
        if (aspect == header || wide[aspect].empty()) continue;
        const auto is_asked = [&](Id id) { return std::ranges::binary_search(wide[aspect], id); };
        const auto is_taken = [&](const Ids& ids) { return std::ranges::any_of(ids, is_asked); };
        if (narrow[aspect].empty() || !std::ranges::all_of(narrow[aspect], is_taken)) return false;
    }
    return std::ranges::all_of(wide[header], is_there);
}

std::optional<std::size_t> Coverage::first_covering(const Takers& takers) {
    const auto telling = most_telling(takers);
    std::optional<std::size_t> first;
    const auto look_up = [&](const Combination& combination) {
        ++steps_;
        const auto found = index_.find(combination);
        if (found == index_.end()) return;
        for (const auto at : found->second) {
            if (first && filed_[at].number >= *first) return;
            ++steps_;
            if (covers(filed_[at].asked, takers)) first = filed_[at].number;
        }
    };
    for (const auto shape : shapes_) each_combination(telling, shape, Combination{}, look_up);
    return first;
}

Coverage::Asked Coverage::learn(const Entries& entries) {
    Asked asked;
    for (std::size_t aspect = 0; aspect < aspect_count; ++aspect) {
        auto& ids = asked[aspect];
        for (const auto& entry : entries[aspect]) {
            const auto [known, is_new] = known_.emplace(entry.front(), static_cast<Id>(popularity_.size()));
            if (is_new) popularity_.push_back(0);
            ids.push_back(known->second);
        }
        std::ranges::sort(ids);
        const auto rest = std::ranges::unique(ids);
        ids.erase(rest.begin(), rest.end());
    }
    return asked;
}

void Coverage::learn_lengths(const Match& match) {
    for (const auto& pattern : match.path)
        if (pattern.kind == PathMatch::prefix) prefix_lengths_.insert(pattern.text.size());
    for (const auto& name : match.host)
        if (name.starts_with("*.")) wildcard_lengths_.insert(name.size());
    for (const auto& range : match.client) range_bits_.insert(range.prefix_bits());
}

void Coverage::file(Asked asked, std::size_t number) {
    auto choices = asked;
    // One condition will do, since all must be among those of a match that is covered: the rarest tells most.
    if (!asked[header].empty())
        choices[header] = {std::ranges::min(asked[header], {}, [this](Id id) { return popularity_[id]; })};
    std::size_t combinations = 1;
    Shape shape = 0;
    for (std::size_t aspect = 0; aspect < aspect_count; ++aspect) {
        for (const auto id : asked[aspect]) ++popularity_[id];
        if (choices[aspect].empty()) continue;
        combinations *= choices[aspect].size();
        shape |= static_cast<Shape>(1U << aspect);
    }
    while (combinations > max_combinations && std::popcount(shape) > 1) {
        const auto longest = std::ranges::max_element(choices, {}, &Ids::size);
        combinations /= longest->size();
        shape &= static_cast<Shape>(~(1U << (longest - choices.begin())));
        longest->clear();
    }
    each_combination(choices, shape, Combination{}, [&](const Combination& combination) {
        ++steps_;
        index_[combination].push_back(filed_.size());
    });
    shapes_.insert(shape);
    filed_.push_back({std::move(asked), number});
}

std::optional<std::size_t> Coverage::add(const Match& match, std::size_t number) {
    const auto entries = entries_of(match);
    const auto covering = first_covering(takers_of(entries));
    // What a covered match covers, the one that covers it does too, and it came first.
    if (covering) return covering;
    file(learn(entries), number);
    learn_lengths(match);
    return std::nullopt;
}

}  // namespace nsboot_lb::config
