#pragma once
/// Reads a configuration file (and what it includes), checks all of it, and gives either plain values or every problem
/// found. Called on the control thread or from the command line; touches the file system, binds nothing.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "nsboot_lb/config/config.hpp"

namespace nsboot_lb::config {

enum class Severity { error, warning };

/// One problem. text() is "FILE:LINE:COLUMN: error|warning: what; hint", as a compiler writes it.
struct Problem {
    Severity severity = Severity::error;
    Position position;
    std::string what;
    std::string hint;  ///< what to do; may be empty
    std::string text() const;
};

struct LoadResult {
    std::optional<Config> config;   ///< absent if any problem is an error
    std::vector<Problem> problems;  ///< in the order of the files' lines; warnings too
    bool ok() const { return config.has_value(); }
};

struct LoadOptions {
    /// Whether files that the configuration names are looked at, and `include` followed. Without it load_text() is a
    /// pure function of its text and of the environment.
    bool touch_files = true;
};

/// Loads `file`. Environment references are taken from the process environment.
LoadResult load(const std::filesystem::path& file);
/// The same for text in memory, as the file `name`, for tests and fuzzing; `include` is relative to `name`.
LoadResult load_text(const std::string& text, const std::string& name, const LoadOptions& options = {});
/// The effective configuration as YAML that loads again to the same values, every default filled in.
std::string print(const Config& config);
/// The same with "(hidden)" for what may let somebody in: header conditions, header fields that carry credentials.
std::string print_for_others(const Config& config);
/// The reference of all keys as Markdown, from the same table that parsing uses (docs/configuration.md is made of it).
std::string reference_markdown();
/// The JSON Schema of a configuration file, from the same table (config/nsboot-lb.schema.json is made of it).
std::string schema_json();

}  // namespace nsboot_lb::config
