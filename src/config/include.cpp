#include "include.hpp"

#include <algorithm>
#include <cerrno>
#include <expected>
#include <glob.h>
#include <unordered_map>
#include <utility>
#include <vector>

#include "nsboot_lb/base/read_file.hpp"
#include "nsboot_lb/base/units.hpp"
#include "yaml.hpp"

namespace nsboot_lb::config {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view include_key = "include";
constexpr std::string_view glob_characters = "*?[\\";

/// Everything of a file, or more than is allowed, so that too much shows.
base::Parsed<std::string> read_file(const fs::path& file) {
    auto text = base::read_file(file, max_file_bytes + 1);
    if (text) return std::move(*text);
    auto& [why, hint, number] = text.error();
    if (number == EACCES) hint = "give the user who runs this the right to read it";
    return std::unexpected(base::UnitError{"cannot read the file: " + why, hint});
}

/// A directory's name as part of a pattern, in which it stands for itself.
std::string escaped_for_glob(const std::string& directory) {
    std::string out;
    for (const char c : directory) {
        if (glob_characters.contains(c)) out += '\\';
        out += c;
    }
    return out;
}

std::vector<std::string> matching_files(const std::string& pattern) {
    glob_t found{};
    std::vector<std::string> files;
    if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) files.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
    ::globfree(&found);
    return files;
}

class TreeReader {
  public:
    explicit TreeReader(Problems& problems) : problems_(problems) {}

    Node read(const std::string& text, const std::string& name, bool follow_includes) {
        const auto file = problems_.add_file(name);
        auto root = parse_yaml(text, file, budget_, problems_);
        if (!root.is_map()) return root;
        const auto found = std::ranges::find(root.entries, include_key, &Entry::key);
        if (found == root.entries.end()) return root;
        const auto include = std::move(found->value);
        root.entries.erase(found);
        if (follow_includes) follow(include, name, root);
        return root;
    }

    /// Remembers the file that reading begins with.
    void enter(const fs::path& file) { open_.push_back(identity(file)); }

  private:
    static fs::path identity(const fs::path& file) {
        std::error_code failed;
        auto path = fs::weakly_canonical(file, failed);
        return failed ? file : path;
    }

    void follow(const Node& include, const std::string& from, Node& root) {
        if (include.is_scalar()) {
            follow_pattern(include, from, root);
        } else if (include.is_sequence()) {
            for (const auto& pattern : include.items) follow_pattern(pattern, from, root);
        } else if (include) {
            problems_.error(include.mark, "include: expected a list, found " + std::string(describe(include.kind)),
                            "write such as [conf.d/*.yaml]");
        }
    }

    void follow_pattern(const Node& pattern, const std::string& from, Node& root) {
        if (!pattern) return;
        if (!pattern.is_scalar() || pattern.text.empty()) {
            problems_.error(pattern.mark, "include: this is no pattern of files", "write such as conf.d/*.yaml");
            return;
        }
        const auto directory = fs::path(from).parent_path();
        const bool relative = !pattern.text.starts_with('/') && !directory.empty();
        const bool is_glob = pattern.text.find_first_of(glob_characters) != std::string::npos;
        std::vector<std::string> files;
        if (is_glob)
            files = matching_files((relative ? escaped_for_glob(directory.string()) + "/" : "") + pattern.text);
        else
            files.push_back(relative ? (directory / pattern.text).string() : pattern.text);
        for (const auto& file : files) include_file(pattern, file, root);
    }

    void include_file(const Node& at, const std::string& file, Node& root) {
        const auto id = identity(file);
        if (std::ranges::find(open_, id) != open_.end()) {
            problems_.error(at.mark, "include: " + file + " includes itself", "remove it from the pattern");
        } else if (std::ranges::find(read_, id) != read_.end()) {
            problems_.error(at.mark, "include: " + file + " is included twice", "include it once");
        } else if (open_.size() > max_include_depth) {
            problems_.error(at.mark, "include: files include each other too deeply",
                            "at most " + std::to_string(max_include_depth) + " levels");
        } else if (read_.size() >= max_files) {
            problems_.error(at.mark, "include: too many files", "at most " + std::to_string(max_files));
        } else if (auto text = read_file(file); !text) {
            problems_.error(at.mark, "include: " + file + ": " + text.error().what,
                            text.error().hint.empty() ? "make it, or remove it from include" : text.error().hint);
        } else {
            open_.push_back(id);
            auto tree = read(*text, file, true);
            open_.pop_back();
            read_.push_back(id);
            merge("the top level", root, std::move(tree));
        }
    }

    /// Maps merge, lists append; anything else can be given only once.
    void merge(const std::string& name, Node& into, Node from) {
        if (!from) return;
        if (into.is_sequence() && from.is_sequence()) {
            std::ranges::move(from.items, std::back_inserter(into.items));
        } else if (!into.is_map() || !from.is_map()) {
            problems_.error(from.mark, "'" + name + "' is given in another file too",
                            "the first is at " + place(into.mark) + "; only maps and lists can be merged");
        } else {
            std::unordered_map<std::string, std::size_t> places;  // there may be thousands of pools
            for (const auto& entry : into.entries) places.emplace(entry.key, places.size());
            for (auto& entry : from.entries) {
                const auto same = places.find(entry.key);
                if (same == places.end())
                    into.entries.push_back(std::move(entry));
                else if (auto& value = into.entries[same->second].value; value && entry.value)
                    merge(entry.key, value, std::move(entry.value));
            }
        }
    }

    std::string place(const Mark& mark) const {
        return problems_.file_name(mark.file) + ":" + std::to_string(mark.line);
    }

    Problems& problems_;
    Budget budget_;
    std::vector<fs::path> open_;  ///< the chain of files being read
    std::vector<fs::path> read_;
};

}  // namespace

Node read_tree(const fs::path& file, Problems& problems) {
    auto text = read_file(file);
    if (!text) {
        problems.error({problems.add_file(file.string()), 1, 1}, text.error().what,
                       text.error().hint.empty() ? "make it, or name another with --config" : text.error().hint);
        return {};
    }
    TreeReader reader(problems);
    reader.enter(file);
    return reader.read(*text, file.string(), true);
}

Node read_tree(const std::string& text, const std::string& name, bool follow_includes, Problems& problems) {
    TreeReader reader(problems);
    reader.enter(name);
    return reader.read(text, name, follow_includes);
}

}  // namespace nsboot_lb::config
