#pragma once
/// Random choice in proportion to weights in constant time (Walker's alias method, in Vose's form). Belongs to one
/// Balancer; build() does not allocate once reserve() was called.
#include <cstdint>
#include <span>
#include <vector>

#include "hash.hpp"

namespace nsboot_lb::upstream {

/// SplitMix64: small, quick, and good enough for spreading load.
class Random {
  public:
    explicit Random(std::uint64_t seed) : state_(mix(seed)) {}
    std::uint64_t next() { return mix(state_ += 0x9e3779b97f4a7c15ULL); }

  private:
    std::uint64_t state_;
};

class WeightedDraw {
  public:
    void reserve(std::size_t size) {
        columns_.reserve(size);
        small_.reserve(size);
        large_.reserve(size);
    }
    /// weight(position) for each position below `size`; all greater than 0.
    template <class Weight>
    void build(std::size_t size, Weight weight);
    std::size_t size() const { return columns_.size(); }
    /// A position. There must be one.
    std::size_t draw(Random& random) const {
        const auto bits = random.next();
        const auto column = static_cast<std::size_t>(((bits >> 32) * columns_.size()) >> 32);
        return (bits & 0xffff'ffffU) < columns_[column].keep ? column : columns_[column].other;
    }

  private:
    struct Column {
        std::uint64_t keep = 0;  ///< of 2^32
        std::size_t other = 0;
    };
    std::vector<Column> columns_;
    std::vector<std::size_t> small_;
    std::vector<std::size_t> large_;
};

template <class Weight>
void WeightedDraw::build(std::size_t size, Weight weight) {
    constexpr std::uint64_t whole = std::uint64_t{1} << 32;
    columns_.assign(size, {});
    small_.clear();
    large_.clear();
    double total = 0;
    for (std::size_t i = 0; i < size; ++i) total += static_cast<double>(weight(i));
    for (std::size_t i = 0; i < size; ++i) {
        const double share = static_cast<double>(weight(i)) / total * static_cast<double>(size);
        columns_[i] = {.keep = static_cast<std::uint64_t>(share * static_cast<double>(whole)), .other = i};
        (columns_[i].keep < whole ? small_ : large_).push_back(i);
    }
    while (!small_.empty() && !large_.empty()) {
        const auto low = small_.back();
        const auto high = large_.back();
        small_.pop_back();
        columns_[low].other = high;
        columns_[high].keep -= whole - columns_[low].keep;
        if (columns_[high].keep >= whole) continue;
        large_.pop_back();
        small_.push_back(high);
    }
    // What is left is whole but for rounding; its `other` is itself.
}

}  // namespace nsboot_lb::upstream
