#include "problems.hpp"

#include <algorithm>
#include <tuple>

namespace nsboot_lb::config {

std::size_t Problems::add_file(std::string name) {
    files_.push_back(std::move(name));
    return files_.size() - 1;
}

Position Problems::position(const Mark& mark) const {
    return {mark.file < files_.size() ? files_[mark.file] : std::string(), mark.line, mark.column};
}

void Problems::error(const Mark& mark, std::string what, std::string hint) {
    ++errors_;
    add(Severity::error, mark, std::move(what), std::move(hint));
}

void Problems::warning(const Mark& mark, std::string what, std::string hint) {
    add(Severity::warning, mark, std::move(what), std::move(hint));
}

namespace {

/// A problem is one line of bounded length, whatever the values are that it shows.
void tidy(std::string& text) {
    static constexpr std::size_t max_bytes = 1000;
    if (text.size() > max_bytes) text = text.substr(0, max_bytes) + "...";
    for (auto& c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
}

}  // namespace

void Problems::add(Severity severity, const Mark& mark, std::string what, std::string hint) {
    if (is_full()) {
        ++dropped_;
        return;
    }
    tidy(what);
    tidy(hint);
    const Mark first{mark.file, std::max(mark.line, 1), std::max(mark.column, 1)};
    entries_.push_back({first, 0, {severity, position(first), std::move(what), std::move(hint)}});
}

std::vector<Problem> Problems::take() {
    for (std::size_t i = 0; i < entries_.size(); ++i) entries_[i].order = i;
    std::ranges::sort(entries_, {}, [](const Entry& entry) {
        return std::tuple(entry.mark.file, entry.mark.line, entry.mark.column, entry.order);
    });
    std::vector<Problem> problems;
    problems.reserve(entries_.size() + 1);
    for (auto& entry : entries_) problems.push_back(std::move(entry.problem));
    if (dropped_ > 0)
        problems.push_back({errors_ > 0 ? Severity::error : Severity::warning, problems.back().position,
                            std::to_string(dropped_) + " more problems are not shown", "correct these first"});
    entries_.clear();
    return problems;
}

std::string Problem::text() const {
    auto text = position.file + ":" + std::to_string(position.line) + ":" + std::to_string(position.column) + ": " +
                (severity == Severity::error ? "error: " : "warning: ") + what;
    if (!hint.empty()) text += "; " + hint;
    return text;
}

namespace {

/// Insertions, deletions, replacements and swaps of neighbours that lead from one word to the other.
std::size_t edit_distance(std::string_view from, std::string_view to) {
    std::vector<std::vector<std::size_t>> cost(from.size() + 1, std::vector<std::size_t>(to.size() + 1));
    for (std::size_t i = 0; i <= from.size(); ++i) cost[i][0] = i;
    for (std::size_t j = 0; j <= to.size(); ++j) cost[0][j] = j;
    for (std::size_t i = 1; i <= from.size(); ++i)
        for (std::size_t j = 1; j <= to.size(); ++j) {
            const bool same = from[i - 1] == to[j - 1];
            cost[i][j] = std::min(
                {cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + static_cast<std::size_t>(!same)});
            if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1])
                cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
        }
    return cost[from.size()][to.size()];
}

/// Case, and '-' for '_', are the commonest slips: they count for nothing.
std::string folded(std::string_view word) {
    std::string out(word);
    for (auto& c : out) {
        if (c == '-') c = '_';
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    }
    return out;
}

}  // namespace

std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> candidates) {
    static constexpr std::size_t longest_word = 64;
    if (word.empty() || word.size() > longest_word) return std::nullopt;
    const auto wanted = folded(word);
    std::size_t best = 1 + std::clamp<std::size_t>(word.size() / 3, 1, 3);
    std::optional<std::string_view> found;
    for (const auto candidate : candidates) {
        if (candidate.size() > longest_word) continue;
        const auto other = folded(candidate);
        auto distance = edit_distance(wanted, other);
        // A word cut short or drawn out, such as "warning" for "warn".
        const auto shorter = std::min(wanted.size(), other.size());
        if (shorter >= 3 && wanted.substr(0, shorter) == other.substr(0, shorter))
            distance = std::min<std::size_t>(distance, 2);
        // What shares nothing with the word is no misspelling of it.
        if (distance >= std::min(best, std::max(word.size(), candidate.size()))) continue;
        best = distance;
        found = candidate;
    }
    return found;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates, std::string otherwise) {
    const auto found = nearest(word, candidates);
    return found ? "did you mean '" + std::string(*found) + "'?" : otherwise;
}

}  // namespace nsboot_lb::config
