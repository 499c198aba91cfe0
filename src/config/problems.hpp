#pragma once
/// Collects the problems of one load, and knows the names of the files that marks point into. One per load, on its
/// stack; used by one thread.
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "node.hpp"
#include "nsboot_lb/config/load.hpp"

namespace nsboot_lb::config {

/// More than this many problems help nobody; the rest is counted.
inline constexpr std::size_t max_problems = 500;

class Problems {
  public:
    /// Makes a file known; marks in it carry the returned index.
    std::size_t add_file(std::string name);
    const std::string& file_name(std::size_t file) const { return files_[file]; }
    Position position(const Mark& mark) const;

    void error(const Mark& mark, std::string what, std::string hint = {});
    void warning(const Mark& mark, std::string what, std::string hint = {});
    std::size_t error_count() const { return errors_; }
    /// Whether further problems are but counted: no hint for them needs to be looked for.
    bool is_full() const { return entries_.size() >= max_problems; }

    /// Everything, by file in the order of loading, line and column; leaves this empty.
    std::vector<Problem> take();

  private:
    struct Entry {
        Mark mark;
        std::size_t order;  ///< of being reported, among problems of one place
        Problem problem;
    };
    void add(Severity severity, const Mark& mark, std::string what, std::string hint);

    std::vector<std::string> files_;
    std::vector<Entry> entries_;
    std::size_t errors_ = 0;
    std::size_t dropped_ = 0;
};

/// The candidate that `word` is most likely a misspelling of, if any is near.
std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> candidates);
/// "did you mean 'x'?", or `otherwise` if nothing is near.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates,
                         std::string otherwise = {});

}  // namespace nsboot_lb::config
