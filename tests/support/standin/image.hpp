#pragma once
/// The images that a stand-in serves: bodies of any size, made from a name and an offset and stored nowhere, so that
/// every stand-in has the same ones, as servers on shared storage do. Values without state: any thread may call.
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace nsboot_lb::standin {

class Image {
  public:
    Image(std::string_view name, std::uint64_t size_bytes);

    std::uint64_t size() const { return size_bytes_; }
    /// A strong validator (RFC 9110 8.8.3): equal for equal name and size, on every stand-in.
    const std::string& etag() const { return etag_; }
    std::time_t last_modified() const;
    std::string_view content_type() const;
    /// Writes the bytes that start at `offset`; reading past size() is the caller's mistake.
    void read(std::uint64_t offset, std::span<std::byte> out) const;

  private:
    std::string name_;
    std::uint64_t size_bytes_;
    std::uint64_t seed_;
    bool kernel_;  ///< begins with a boot sector that a PC can start
    std::string etag_;
};

/// "1000", "64KiB", "20MB", "1GiB": decimal with B, binary with iB, as people write them. Nothing if it is not a size.
std::optional<std::uint64_t> parse_size(std::string_view text);

}  // namespace nsboot_lb::standin
