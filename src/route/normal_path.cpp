#include "nsboot_lb/route/normal_path.hpp"

#include "percent.hpp"

namespace nsboot_lb::route {

namespace {

/// Whether there is nothing to do, for paths that begin with `/`. May be wrong in one direction only: it takes names
/// that begin with a dot (/.well-known) for work.
bool is_plain(std::string_view path) {
    bool behind_slash = false;
    for (const char octet : path) {
        if (octet == '%' || octet == '\\') return false;
        if (behind_slash && (octet == '/' || octet == '.')) return false;
        behind_slash = octet == '/';
    }
    return true;
}

/// Ends the last segment of `path`, which begins with `/`: "." goes, ".." goes with the segment before it (RFC 3986
/// 5.2.4). The `/` before what went stays.
void close_segment(std::string& path) {
    const auto slash = path.rfind('/');
    const auto segment = std::string_view(path).substr(slash + 1);
    if (segment == ".") {
        path.resize(slash + 1);
    } else if (segment == "..") {
        path.resize(slash == 0 ? 1 : path.rfind('/', slash - 1) + 1);
    }
}

}  // namespace

std::string_view normal_path(std::string_view path, std::string& scratch) {
    if (path.empty()) return "/";
    if (path.front() != '/' || is_plain(path)) return path;
    scratch.clear();
    scratch.reserve(path.size());
    scratch.push_back('/');
    for (std::size_t position = 1; position < path.size();) {
        const char octet = next_octet(path, position);
        if (octet != '/' && octet != '\\') {
            scratch.push_back(octet);
        } else if (scratch.back() != '/') {
            close_segment(scratch);
            if (scratch.back() != '/') scratch.push_back('/');
        }
    }
    close_segment(scratch);
    return scratch;
}

}  // namespace nsboot_lb::route
