#include "image.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "kernel.hpp"

namespace nsboot_lb::standin {
namespace {

constexpr std::uint64_t golden_ratio = 0x9e3779b97f4a7c15;
constexpr std::size_t word_bytes = sizeof(std::uint64_t);

std::uint64_t fnv1a(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return hash;
}

// One xorshift round over a counter: no state between words, so any offset is as near as the first, and shifts and adds
// alone, so that the compiler turns the loop below into vector code.
std::uint64_t word_at(std::uint64_t seed, std::uint64_t index) {
    std::uint64_t word = seed + index * golden_ratio;
    word ^= word << 13;
    word ^= word >> 7;
    word ^= word << 17;
    return word;
}

void generate(std::uint64_t seed, std::uint64_t offset, std::span<std::byte> out) {
    const auto copy_part = [&](std::uint64_t index, std::size_t skip, std::size_t count) {
        const auto bytes = std::bit_cast<std::array<std::byte, word_bytes>>(word_at(seed, index));
        std::ranges::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(skip), static_cast<std::ptrdiff_t>(count),
                            out.begin());
        out = out.subspan(count);
    };
    std::uint64_t index = offset / word_bytes;
    if (const std::size_t skip = offset % word_bytes; skip != 0) {
        copy_part(index++, skip, std::min(word_bytes - skip, out.size()));
    }
    const std::size_t whole_words = out.size() / word_bytes;
    for (std::size_t i = 0; i < whole_words; ++i) {
        const std::uint64_t word = word_at(seed, index + i);
        std::memcpy(out.data() + i * word_bytes, &word, word_bytes);
    }
    out = out.subspan(whole_words * word_bytes);
    if (!out.empty()) copy_part(index + whole_words, 0, out.size());
}

}  // namespace

Image::Image(std::string_view name, std::uint64_t size_bytes)
    : name_(name),
      size_bytes_(size_bytes),
      seed_(fnv1a(name)),
      kernel_(name.starts_with("vmlinuz") && size_bytes >= kernel_setup().size()),
      etag_(fmt::format("\"{:016x}-{:x}\"", seed_, size_bytes)) {}

std::time_t Image::last_modified() const {
    return 1'751'328'000;
}  // 2025-07-01 00:00:00 UTC, on every stand-in

std::string_view Image::content_type() const {
    if (name_.ends_with(".efi")) return "application/efi";  // UEFI HTTP Boot decides by this what it boots
    if (name_.ends_with(".iso")) return "application/vnd.efi-iso";
    if (name_.ends_with(".img")) return "application/vnd.efi-img";
    return "application/octet-stream";
}

void Image::read(std::uint64_t offset, std::span<std::byte> out) const {
    generate(seed_, offset, out);
    if (const auto setup = kernel_setup(); kernel_ && offset < setup.size()) {
        const std::size_t count = std::min(setup.size() - offset, out.size());
        std::ranges::copy(setup.subspan(offset, count), out.begin());
    }
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) return std::nullopt;
    const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));

    static constexpr std::array<std::pair<std::string_view, std::uint64_t>, 8> units{{{"", 1},
                                                                                      {"B", 1},
                                                                                      {"kB", 1000},
                                                                                      {"MB", 1000 * 1000},
                                                                                      {"GB", 1000 * 1000 * 1000},
                                                                                      {"KiB", 1 << 10},
                                                                                      {"MiB", 1 << 20},
                                                                                      {"GiB", 1 << 30}}};
    const auto* const found = std::ranges::find(units, unit, &std::pair<std::string_view, std::uint64_t>::first);
    if (found == units.end()) return std::nullopt;
    if (number > std::uint64_t{std::numeric_limits<std::int64_t>::max()} / found->second) return std::nullopt;
    return number * found->second;
}

}  // namespace nsboot_lb::standin
