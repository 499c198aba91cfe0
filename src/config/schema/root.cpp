/// The table of the configuration: its top level, which holds all other sections.
#include "schema.hpp"
#include "sections.hpp"
#include "texts.hpp"
#include "values.hpp"

namespace nsboot_lb::config {

namespace {

/// `workers`: a number, or auto, which is 0.
Codec<std::uint32_t> worker_count() {
    static constexpr std::uint32_t max_workers = 1024;
    auto codec = integer<std::uint32_t>(1, max_workers);
    codec.type.words = "auto, or a whole number, 1 to " + std::to_string(max_workers);
    codec.type.schema = Node::map().set(
        "anyOf",
        Node::sequence().push(Node::map().set("const", Node::of_text("auto"))).push(std::move(codec.type.schema)));
    codec.read = [read = codec.read](const Node& node, std::uint32_t& value, Reader& reader) {
        if (node.is_scalar() && node.text == "auto")
            value = 0;
        else if (node.is_scalar() && node.text == "0")
            reader.error(node, "'0' is too small", "write auto for as many as there are CPUs");
        else if (node.is_scalar() && !base::parse_whole_number(node.text))
            reader.error(node, "'" + node.text + "' is neither auto nor a whole number",
                         "write auto for as many as there are CPUs");
        else
            read(node, value, reader);
    };
    codec.write = [write = codec.write](const std::uint32_t& value) {
        return value == 0 ? Node::of_text("auto") : write(value);
    };
    return codec;
}

/// Followed before the table is asked (include.cpp), and so gone from the effective configuration.
KeyOf<Config> include_key() {
    auto made = computed_key<Config, std::vector<std::string>>(
        "include", list_of(printable_text("a pattern of files")),
        [](const Config&) { return std::vector<std::string>(); }, [](Config&, const std::vector<std::string>&) {},
        "Files to read too, such as conf.d/*.yaml, relative to this file. Maps merge, lists append.");
    made.write = [](const void*) { return Node{}; };
    return made;
}

}  // namespace

const Section& root_section() {
    static const auto section = make_section<Config>(
        {"configuration", "the configuration", "", "The top level of the file."},
        {
            include_key(),
            key("workers", &Config::workers, worker_count(), "Event-loop threads. auto = one for each usable CPU."),
            key("listeners", &Config::listeners, list_of(nested(listener_section()), 1), "Where clients connect.")
                .required_as("[{address: 0.0.0.0:80}]"),
            key("pools", &Config::pools, named(nested(pool_section()), check_name), "The servers.")
                .required_as("{nsboot: {servers: [nsboot-1:80]}}"),
            key("routes", &Config::routes, list_of(nested(route_section()), 1), "Which request goes where.")
                .required_as("[{pool: nsboot}]"),
            later_key<Config>("rate_limits", "Named rate limits."),
            later_key<Config>("caches", "Named caches."),
            key("admin", &Config::admin, optional_of(nested(admin_section())), "Metrics, health, dashboard and API.")
                .default_is("none: no admin listener"),
            key("limits", &Config::limits, nested(limits_section()), "What clients may use."),
            key("timeouts", &Config::timeouts, nested(client_timeouts_section()), "How long a client is waited for."),
            key("forwarded", &Config::forwarded, nested(forwarded_section()), "Proxies in front of this one."),
            key("logging", &Config::logging, nested(logging_section()), "What is logged, and where to."),
            key("shutdown", &Config::shutdown, nested(shutdown_section()), "How the daemon stops."),
        },
        [](const Node&, Config& config, Reader&) {
            for (std::size_t i = 0; i < config.routes.size(); ++i) {
                auto& route = config.routes[i];
                route.named = !route.name.empty();
                if (!route.named) route.name = "route-" + std::to_string(i + 1);
            }
        });
    return section;
}

}  // namespace nsboot_lb::config
