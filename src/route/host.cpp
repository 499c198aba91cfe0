#include "host.hpp"

#include <algorithm>

#include "nsboot_lb/base/cidr.hpp"

namespace nsboot_lb::route {

namespace {

bool is_upper(char letter) {
    return letter >= 'A' && letter <= 'Z';
}
char to_lower(char letter) {
    return is_upper(letter) ? static_cast<char>(letter - 'A' + 'a') : letter;
}

std::string_view lower_case(std::string_view text, std::string& scratch) {
    if (std::ranges::none_of(text, is_upper)) return text;
    scratch.resize(text.size());
    std::ranges::transform(text, scratch.begin(), to_lower);
    return scratch;
}

std::string_view normal_ip_literal(std::string_view literal, std::string& scratch) {
    const auto address = base::IpAddress::parse(literal);
    if (!address) return lower_case(literal, scratch);
    scratch = address->text();
    return scratch;
}

}  // namespace

std::string_view normal_host(std::string_view host, std::string& scratch) {
    if (host.starts_with('[')) return normal_ip_literal(host.substr(1, host.find(']') - 1), scratch);
    host = host.substr(0, host.find(':'));
    if (host.ends_with('.')) host.remove_suffix(1);
    return lower_case(host, scratch);
}

std::string configured_host(std::string_view host) {
    std::string scratch;
    if (std::ranges::count(host, ':') > 1 && !host.starts_with('[')) {
        return std::string(normal_ip_literal(host, scratch));
    }
    return std::string(normal_host(host, scratch));
}

bool is_below(std::string_view name, std::string_view suffix) {
    return name.size() > suffix.size() + 1 && name.ends_with(suffix) && name[name.size() - suffix.size() - 1] == '.';
}

}  // namespace nsboot_lb::route
