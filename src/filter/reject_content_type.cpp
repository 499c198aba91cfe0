#include <algorithm>
#include <string_view>

#include "make.hpp"
#include "nsboot_lb/http/field_names.hpp"

namespace nsboot_lb::filter {

namespace {

/// RFC 9110 8.3.1: the type of "type/subtype; parameter=value".
std::string_view media_type(std::string_view value) {
    value = value.substr(0, value.find(';'));
    return value.substr(0, value.find_last_not_of(" \t") + 1);
}

class RejectContentType final : public forward::Filter {
  public:
    explicit RejectContentType(std::span<const std::string> types) : types_(types.begin(), types.end()) {}

    std::string describe() const override {
        std::string text = "reject_content_type";
        for (const auto& type : types_) text += " " + type;
        return text + ": such a 2xx response becomes a 502";
    }

    /// Only what would be taken for what was asked for: a client that gets a 404 or a 302 knows what to do with its
    /// page.
    std::optional<forward::Answer> on_response(forward::Exchange& /*exchange*/,
                                               http::ResponseHead& head) const override {
        const auto rejects = [this](const http::Field& field) {
            return field.id == http::FieldId::content_type && is_listed(media_type(field.value));
        };
        if (head.status / 100 != 2 || std::ranges::none_of(head.fields, rejects)) return std::nullopt;
        return forward::error_answer(502, observe::Reason::rejected_content_type);
    }

  private:
    bool is_listed(std::string_view type) const {
        return std::ranges::any_of(types_,
                                   [type](const auto& listed) { return http::equal_ignoring_case(listed, type); });
    }
    const std::vector<std::string> types_;
};

}  // namespace

FilterPtr make_reject_content_type(std::span<const std::string> types) {
    return std::make_unique<RejectContentType>(types);
}

}  // namespace nsboot_lb::filter
