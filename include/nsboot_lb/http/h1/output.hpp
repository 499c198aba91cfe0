#pragma once
/// Bytes of heads on their way out: a buffer that grows as needed, filled with copies that need no check each because
/// room is made first. One per worker and direction; what is in it must be sent or copied before the worker does
/// anything else.
#include <charconv>
#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <string_view>

#include "nsboot_lb/http/head.hpp"

namespace nsboot_lb::http::h1 {

class Output {
  public:
    void clear() { size_ = 0; }
    std::string_view text() const { return {data_.get(), size_}; }
    std::size_t size() const { return size_; }

    void append(std::string_view text) {
        make_room(text.size());
        put(text);
    }
    void append(std::initializer_list<std::string_view> texts) {
        std::size_t size = 0;
        for (const auto text : texts) size += text.size();
        make_room(size);
        for (const auto text : texts) put(text);
    }
    void append_number(std::uint64_t number, int base = 10) {
        make_room(20);
        size_ = static_cast<std::size_t>(std::to_chars(data_.get() + size_, data_.get() + capacity_, number, base).ptr -
                                         data_.get());
    }
    /// "name: value\r\n"
    void append_field(std::string_view name, std::string_view value) { append({name, ": ", value, "\r\n"}); }

    /// Every field that is not dropped. Runs of fields that came in the form in which they go out are one copy.
    void append_fields(const Fields& fields);

  private:
    void make_room(std::size_t size) {
        if (capacity_ - size_ < size) grow(size);
    }
    void put(std::string_view text) {
        auto* const to = data_.get() + size_;
        const auto size = text.size();
        size_ += size;
        // Most texts are short: two copies of a fixed size, which may overlap, are done before memcpy() is called.
        if (size >= 8 && size <= 16) {
            std::memcpy(to, text.data(), 8);
            std::memcpy(to + size - 8, text.data() + size - 8, 8);
        } else if (size >= 4 && size < 8) {
            std::memcpy(to, text.data(), 4);
            std::memcpy(to + size - 4, text.data() + size - 4, 4);
        } else if (size != 0) {  // memcpy() may not be given a null pointer, not even for nothing
            std::memcpy(to, text.data(), size);
        }
    }
    void grow(std::size_t size);

    std::unique_ptr<char[]> data_;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

}  // namespace nsboot_lb::http::h1
