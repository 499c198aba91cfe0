#include "pattern.hpp"

#include "percent.hpp"

namespace nsboot_lb::route {

std::unique_ptr<const re2::RE2> compile_regex(std::string_view expression) {
    re2::RE2::Options options;
    options.set_encoding(re2::RE2::Options::EncodingLatin1);
    options.set_dot_nl(true);
    options.set_log_errors(false);
    return std::make_unique<const re2::RE2>(expression, options);
}

std::string glob_expression(std::string_view glob) {
    std::string expression;
    for (std::size_t position = 0; position < glob.size();) {
        const auto rest = glob.substr(position);
        if (rest.starts_with("/**/")) {
            expression += "/(?:.*/)?";
            position += 4;
        } else if (rest.starts_with("**")) {
            expression += ".*";
            position += 2;
        } else if (rest.starts_with('*')) {
            expression += "[^/]*";
            position += 1;
        } else {
            const char octet = next_octet(glob, position);
            expression += re2::RE2::QuoteMeta(std::string_view(&octet, 1));
        }
    }
    return expression;
}

std::string glob_directory(std::string_view glob) {
    const auto literal = glob.substr(0, glob.find('*'));
    std::string directory;
    for (std::size_t position = 0; position < literal.size();) directory.push_back(next_octet(literal, position));
    directory.resize(directory.rfind('/') + 1);
    return directory;
}

bool is_under(std::string_view path, std::string_view prefix) {
    if (!path.starts_with(prefix)) return false;
    return prefix.ends_with('/') || path.size() == prefix.size() || path[prefix.size()] == '/';
}

}  // namespace nsboot_lb::route
