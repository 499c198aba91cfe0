#include <algorithm>
#include <string>
#include <string_view>

#include "make.hpp"
#include "nsboot_lb/forward/exchange.hpp"
#include "nsboot_lb/route/normal_path.hpp"

namespace nsboot_lb::filter {

namespace {

/// Whether `path` is `prefix` or goes on behind it with a segment. No prefix, no question.
bool is_under(std::string_view path, std::string_view prefix) {
    return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

std::string_view without_last_slash(std::string_view prefix) {
    if (prefix.ends_with('/')) prefix.remove_suffix(1);
    return prefix;
}

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    const char folded = static_cast<char>(c | 0x20);
    return folded >= 'a' && folded <= 'f' ? folded - 'a' + 10 : -1;
}

/// Whether a server might see a dot segment in it (RFC 3986 5.2.4), however it is spelled.
bool has_dot_segment(std::string_view path) {
    if (!path.contains('.') && !path.contains('%')) return false;
    std::string plain;
    for (std::size_t i = 0; i < path.size(); ++i) {
        char octet = path[i];
        if (octet == '%' && i + 2 < path.size() && hex_value(path[i + 1]) >= 0 && hex_value(path[i + 2]) >= 0) {
            octet = static_cast<char>(hex_value(path[i + 1]) * 16 + hex_value(path[i + 2]));
            i += 2;
        }
        plain += octet == '\\' ? '/' : octet;
    }
    plain += '/';
    return plain.contains("/./") || plain.contains("/../");
}

/// A normal path as it may stand in a request target (RFC 3986 3.3).
std::string encoded(std::string_view path) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    constexpr std::string_view others = "/-._~!$&'()*+,;=:@";
    std::string out;
    for (const char c : path) {
        const auto octet = static_cast<unsigned char>(c);
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (letter || others.contains(c))
            out += c;
        else
            out.append({'%', digits[octet >> 4U], digits[octet & 15U]});
    }
    return out;
}

class Rewrite final : public forward::Filter {
  public:
    explicit Rewrite(const config::Rewrite& rewrite)
        : configured_(rewrite),
          strip_(without_last_slash(rewrite.strip_prefix)),
          add_(without_last_slash(rewrite.add_prefix)) {
        std::string scratch;
        normal_strip_ = without_last_slash(route::normal_path(rewrite.strip_prefix, scratch));
    }

    std::string describe() const override {
        std::string text = "rewrite";
        if (!configured_.strip_prefix.empty()) text += " strip_prefix " + configured_.strip_prefix;
        if (!configured_.add_prefix.empty()) text += " add_prefix " + configured_.add_prefix;
        return text;
    }

    forward::RequestVerdict on_request(forward::Exchange& exchange) const override {
        const auto path = exchange.request.path;
        if (!path.starts_with('/')) return {};  // OPTIONS *
        auto target = rewritten(path);
        if (target.empty()) target = "/";
        target += exchange.request.origin_target.substr(path.size());
        exchange.rewritten_target = std::move(target);
        return {};
    }

  private:
    // The path stays as the client spelled it, but for two cases in which its normal form is taken: a dot segment,
    // which could climb out of the prefix that is put in front of it, and a spelling that hides the prefix to be
    // stripped from everybody but the route that matched it.
    std::string rewritten(std::string_view path) const {
        std::string scratch;
        const auto normal = route::normal_path(path, scratch);
        const bool hides_prefix = !is_under(path, strip_) && is_under(normal, normal_strip_);
        if (!hides_prefix && !has_dot_segment(path))
            return add_ + std::string(is_under(path, strip_) ? path.substr(strip_.size()) : path);
        const auto rest = is_under(normal, normal_strip_) ? normal.substr(normal_strip_.size()) : normal;
        return add_ + encoded(rest);
    }

    const config::Rewrite configured_;
    const std::string strip_;  ///< neither ends with "/"; empty: nothing
    const std::string add_;
    std::string normal_strip_;  ///< decoded, as normal_path() gives paths
};

}  // namespace

FilterPtr make_rewrite(const config::Rewrite& rewrite) {
    return std::make_unique<Rewrite>(rewrite);
}

}  // namespace nsboot_lb::filter
