#include "nsboot_lb/http/h1/output.hpp"

#include <algorithm>

namespace nsboot_lb::http::h1 {

namespace {
constexpr std::size_t first_capacity = 8 * 1024;
constexpr std::string_view line_end = "\r\n";
}  // namespace

void Output::grow(std::size_t size) {
    const auto capacity = std::max({first_capacity, capacity_ * 2, size_ + size});
    auto data = std::make_unique_for_overwrite<char[]>(capacity);
    if (size_ != 0) std::memcpy(data.get(), data_.get(), size_);
    data_ = std::move(data);
    capacity_ = capacity;
}

void Output::append_fields(const Fields& fields) {
    // The bytes [run, run_end) are whole canonical lines that may cross.
    const char* run = nullptr;
    const char* run_end = nullptr;
    for (const auto& field : fields) {
        if (field.dropped) continue;
        if (field.canonical && field.name.data() == run_end) [[likely]] {
            run_end = field.value.data() + field.value.size() + line_end.size();
            continue;
        }
        append(std::string_view{run, run_end});
        run = run_end = nullptr;
        if (field.canonical) {
            run = field.name.data();
            run_end = field.value.data() + field.value.size() + line_end.size();
        } else {
            append_field(field.name, field.value);
        }
    }
    append(std::string_view{run, run_end});
}

}  // namespace nsboot_lb::http::h1
