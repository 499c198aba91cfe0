#include "image.hpp"

#include <vector>

#include <gtest/gtest.h>

#include "kernel.hpp"

namespace nsboot_lb::standin {
namespace {

std::vector<std::byte> read(const Image& image, std::uint64_t offset, std::size_t count) {
    std::vector<std::byte> bytes(count);
    image.read(offset, bytes);
    return bytes;
}

TEST(ImageTest, gives_the_same_bytes_however_it_is_cut) {
    const Image image("disk.img", 4096);
    const auto whole = read(image, 0, 4096);
    for (const std::size_t offset : {0UL, 1UL, 7UL, 8UL, 9UL, 1000UL, 4090UL}) {
        for (const std::size_t count : {0UL, 1UL, 3UL, 6UL}) {
            const auto first = whole.begin() + static_cast<std::ptrdiff_t>(offset);
            EXPECT_EQ(read(image, offset, count), std::vector(first, first + static_cast<std::ptrdiff_t>(count)))
                << offset << " + " << count;
        }
    }
    EXPECT_EQ(read(image, 13, 4000), std::vector(whole.begin() + 13, whole.begin() + 4013));
}

TEST(ImageTest, differs_by_name_and_from_block_to_block) {
    const Image image("a", 1 << 20);
    EXPECT_NE(read(image, 0, 512), read(Image("b", 1 << 20), 0, 512));
    EXPECT_NE(read(image, 0, 512), read(image, 512, 512));
}

TEST(ImageTest, has_an_etag_of_name_and_size) {
    EXPECT_EQ(Image("a", 10).etag(), Image("a", 10).etag());
    EXPECT_NE(Image("a", 10).etag(), Image("a", 11).etag());
    EXPECT_NE(Image("a", 10).etag(), Image("b", 10).etag());
    EXPECT_TRUE(Image("a", 10).etag().starts_with('"'));
}

TEST(ImageTest, of_a_kernel_begins_with_a_linux_boot_header) {
    const Image kernel("vmlinuz", 4096);
    const auto head = read(kernel, 0, 1024);
    EXPECT_EQ(head[0x1fe], std::byte{0x55});
    EXPECT_EQ(head[0x1ff], std::byte{0xaa});
    EXPECT_EQ(head[0x202], std::byte{'H'});
    EXPECT_EQ(read(kernel, 0x1fe, 2), std::vector(head.begin() + 0x1fe, head.begin() + 0x200));
    EXPECT_EQ(read(kernel, 1000, 100), [&] {
        auto expected = read(kernel, 0, 1100);
        return std::vector(expected.begin() + 1000, expected.end());
    }());
}

TEST(ParseSizeTest, knows_decimal_and_binary_units) {
    EXPECT_EQ(parse_size("0"), 0U);
    EXPECT_EQ(parse_size("1000"), 1000U);
    EXPECT_EQ(parse_size("20MB"), 20'000'000U);
    EXPECT_EQ(parse_size("64KiB"), 65'536U);
    EXPECT_EQ(parse_size("1GiB"), 1U << 30);
}

TEST(ParseSizeTest, refuses_everything_else) {
    for (const char* const text : {"", "MB", "-1", "1.5MB", "1 MB", "1mb", "1TB", "99999999999999999999",
                                   "18446744073709551615", "9999999999GiB"}) {
        EXPECT_EQ(parse_size(text), std::nullopt) << text;
    }
}

}  // namespace
}  // namespace nsboot_lb::standin
