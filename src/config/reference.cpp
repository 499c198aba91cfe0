/// The table as Markdown: docs/configuration.md is what this writes.
#include <algorithm>

#include "include.hpp"
#include "nsboot_lb/config/load.hpp"
#include "schema.hpp"
#include "yaml.hpp"

namespace nsboot_lb::config {

namespace {

constexpr std::string_view introduction = R"(# Configuration

`nsboot-lb` reads one YAML file, `/etc/nsboot-lb/nsboot-lb.yaml` unless `--config FILE` says otherwise. The smallest
useful one is:

```yaml
listeners:
  - address: 0.0.0.0:80
pools:
  nsboot:
    servers: [nsboot-1:80, nsboot-2:80, nsboot-3:80]
routes:
  - pool: nsboot
```

`nsboot-lb --check` reads a file as a start would, and prints every problem. `nsboot-lb --print-config` prints the
effective configuration with every default filled in. [`config/nsboot-lb.yaml`](../config/nsboot-lb.yaml) is a complete
one for a cluster, `config/examples/` has one for each use, and
[`config/nsboot-lb.schema.json`](../config/nsboot-lb.schema.json) gives completion in editors: put
`# yaml-language-server: $schema=PATH` into the file's first line.

## Values

| what | how it is written |
| --- | --- |
| a duration | a whole number and `ms`, `s`, `m`, `h` or `d`: `500ms`, `3s`, `5m`, `1h`, `7d` |
| a size | bytes, or a whole number and `KiB`, `MiB` or `GiB` (powers of 1024): `65536`, `64KiB`, `10GiB` |
| bytes per second | a size and `/s`: `256B/s`, `50MiB/s`; `0` for none |
| a percentage | `20%`, `12.5%` |
| an address range | `10.0.0.0/8`, `2001:db8::/32`, or one address |
| an address | `HOST:PORT`, `[IPv6]:PORT` or `unix:/path` |
| a list | `[a, b]`, or one `- ` line each; one plain value may stand without brackets |

The type of a value comes from its key: quotes change nothing, and are needed only where YAML would read something else
(`"*.example.com"`, `"::1"`, whatever holds `: `, and `{host}` or `${NAME}` inside of `[]` and `{}`). Paths of files
that do not begin with `/` are relative to the file they are written in.

## Environment

`${NAME}` in a value is replaced by that variable of the environment, `${NAME:-default}` by the default if it is not set
or empty. A variable that is neither set nor has a default is an error. `$${` is a plain `${`. Keys are taken as they
are.

## Several files

`include` at the top level names files, with `*` and `?`, relative to the file it stands in. They are read in the order
of their names. Maps merge, lists append: what is included comes behind what the including file has itself. A plain
value that two files give is an error, and so is a file that is included twice. Files may include others.

```yaml
include: [conf.d/*.yaml]
```

## Problems

Every problem is printed, not just the first, with its place and with what to write instead:

```
nsboot-lb.yaml:5:5: error: unknown key 'balanse' in a pool; did you mean 'balance'?
nsboot-lb.yaml:9:11: error: there is no pool 'nsbot'; did you mean 'nsboot'?
```

Errors keep the daemon from starting, and a reload from happening; the old configuration goes on serving. Warnings do
not. Some keys are known, but belong to a later version: they are refused by name rather than ignored.

## Reference

`[]` stands for each item of a list, `NAME` for a name that you choose.
)";

std::string anchor(std::string_view heading) {
    std::string out;
    for (const char c : heading) {
        if (c == ' ') out += '-';
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-') out += c;
        if (c >= 'A' && c <= 'Z') out += static_cast<char>(c | 0x20);
    }
    return out;
}

std::string heading(const Section& section) {
    return section.path.empty() ? "The top level" : section.path;
}

std::string cell(std::string_view text) {
    std::string out;
    for (const char c : text) out += c == '|' ? "\\|" : std::string(1, c);
    return out;
}

std::string type_cell(const Key& key) {
    if (key.type.section == nullptr) return cell(key.type.words);
    return cell(key.type.words) + ", see [" + heading(*key.type.section) + "](#" + anchor(heading(*key.type.section)) +
           ")";
}

std::string default_cell(const Key& key, const Node& defaults) {
    if (key.required) return "must be given, such as `" + cell(key.example) + "`";
    if (!key.default_words.empty()) return cell(key.default_words);
    const auto* value = defaults.find(key.name);
    if (value == nullptr) return "none";
    return value->is_map() ? "see there" : "`" + cell(to_flow_yaml(*value)) + "`";
}

std::string later_line(const Section& section) {
    std::string names;
    for (const auto& key : section.keys)
        if (key.later) names += (names.empty() ? "`" : ", `") + key.name + "`";
    return names.empty() ? "" : "\nNot available in this version: " + names + ".\n";
}

std::string choice_line(const Section& section) {
    std::string names;
    for (const auto& name : section.choice.keys) names += (names.empty() ? "`" : ", `") + name + "`";
    if (names.empty()) return "";
    return section.choice.required ? "\nExactly one of " + names + " must be given.\n"
                                   : "\nOf " + names + " one may be given.\n";
}

std::string describe(const Section& section) {
    std::string out = "\n### " + heading(section) + "\n\n" + section.text + "\n" + choice_line(section) +
                      "\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n";
    const auto defaults = section.defaults();
    for (const auto& key : section.keys)
        if (!key.later)
            out += "| `" + key.name + "` | " + type_cell(key) + " | " + default_cell(key, defaults) + " | " +
                   cell(key.text) + " |\n";
    return out + later_line(section);
}

std::string limits() {
    return "\n## Limits of a configuration\n\nA file has at most " + std::to_string(max_file_bytes >> 20) +
           " MiB, a configuration at most " + std::to_string(max_files) + " files, " + std::to_string(max_nodes) +
           " values with aliases written out, and " + std::to_string(max_depth) + " levels.\n";
}

}  // namespace

std::string reference_markdown() {
    std::string out(introduction);
    for (const auto* section : all_sections(root_section())) out += describe(*section);
    return out + limits();
}

}  // namespace nsboot_lb::config
