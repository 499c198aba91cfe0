#include "nsboot_lb/http/h1/output.hpp"

#include <algorithm>

namespace nsboot_lb::http::h1 {

namespace {
constexpr std::size_t first_capacity = 8 * 1024;
}

void Output::grow(std::size_t size) {
    const auto capacity = std::max({first_capacity, capacity_ * 2, size_ + size});
    auto data = std::make_unique_for_overwrite<char[]>(capacity);
    if (size_ != 0) std::memcpy(data.get(), data_.get(), size_);
    data_ = std::move(data);
    capacity_ = capacity;
}

void Output::append_fields(const Fields& fields) {
    const char* run = nullptr;  // the bytes [run, run_end) are whole canonical lines that may cross
    const char* run_end = nullptr;
    const auto flush = [&] {
        if (run != nullptr) append(std::string_view{run, run_end});
        run = nullptr;
    };
    for (const auto& field : fields) {
        if (field.dropped) continue;
        if (!field.canonical) {
            flush();
            append_field(field.name, field.value);
            continue;
        }
        if (run_end != field.name.data() || run == nullptr) {
            flush();
            run = field.name.data();
        }
        run_end = field.value.data() + field.value.size() + 2;  // with its CRLF
    }
    flush();
}

}  // namespace nsboot_lb::http::h1
