#include "nsboot_lb/config/load.hpp"

#include "check.hpp"
#include "hidden.hpp"
#include "include.hpp"
#include "schema.hpp"

namespace nsboot_lb::config {

namespace {

LoadResult load_tree(const Node& root, Problems& problems, const LoadOptions& options) {
    LoadResult result;
    if (root && !root.is_map()) {
        problems.error(root.mark, "expected a map, found " + std::string(describe(root.kind)),
                       "a configuration begins with keys such as listeners:, pools: and routes:");
    } else if (root) {
        Reader reader(problems, options);
        Config config;
        read_section(root_section(), root, &config, reader);
        check_config(config, root, reader);
        if (problems.error_count() == 0) result.config = std::move(config);
    }
    result.problems = problems.take();
    return result;
}

}  // namespace

LoadResult load(const std::filesystem::path& file) {
    Problems problems;
    const auto root = read_tree(file, problems);
    return load_tree(root, problems, {});
}

LoadResult load_text(const std::string& text, const std::string& name, const LoadOptions& options) {
    Problems problems;
    const auto root = read_tree(text, name, options.touch_files, problems);
    return load_tree(root, problems, options);
}

std::string print(const Config& config) {
    return to_yaml(write_section(root_section(), &config));
}

std::string print_for_others(const Config& config) {
    auto tree = write_section(root_section(), &config);
    hide_values(tree);
    return to_yaml(tree);
}

}  // namespace nsboot_lb::config
