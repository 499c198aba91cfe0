#include "check.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace nsboot_lb::config {

namespace {

std::string in_quotes(std::string_view text) {
    return "'" + std::string(text) + "'";
}

/// An address that could not be read is left empty.
bool was_read(const BindAddress& address) {
    return !address.host.empty() || !address.unix_path.empty();
}

/// Port 0 is another port each time.
bool is_any_port(const BindAddress& address) {
    return address.port == 0 && address.unix_path.empty();
}

std::string place(const Problems& problems, const Mark& mark) {
    return problems.file_name(mark.file) + ":" + std::to_string(mark.line);
}

/// Complains of every name that was there before.
class Unique {
  public:
    Unique(Problems& problems, std::string noun, std::string hint)
        : problems_(problems), noun_(std::move(noun)), hint_(std::move(hint)) {}

    void add(const std::string& name, const Node& at) {
        const auto [first, fresh] = seen_.emplace(name, at.mark);
        if (!fresh)
            problems_.error(at.mark, noun_ + " " + in_quotes(name) + " is given twice",
                            "the first is at " + place(problems_, first->second) + "; " + hint_);
    }

  private:
    Problems& problems_;
    const std::string noun_;
    const std::string hint_;
    std::map<std::string, Mark> seen_;
};

void check_listeners(const Config& config, const Node& root, Reader& reader) {
    const auto& list = part(root, "listeners");
    Unique names(reader.problems(), "the listener", "give another name");
    Unique addresses(reader.problems(), "the address", "an address can be bound once");
    const auto add_address = [&](const BindAddress& address, const Node& at) {
        if (was_read(address) && !is_any_port(address)) addresses.add(address.text(), at);
    };
    for (std::size_t i = 0; i < config.listeners.size(); ++i) {
        const auto& listener = config.listeners[i];
        const auto& node = item(list, i);
        for (std::size_t j = 0; j < listener.addresses.size(); ++j)
            add_address(listener.addresses[j], item(part(node, "address"), j));
        // A name that is not given is the address, which is looked at already.
        if (const auto* name = node.find("name"); name != nullptr && !listener.name.empty())
            names.add(listener.name, *name);
    }
    if (config.admin) add_address(config.admin->address, part(part(root, "admin"), "address"));
}

void check_admin(const Config& config, const Node& root, Reader& reader) {
    if (!config.admin || reader.is_broken(part(root, "admin"))) return;
    const auto& admin = *config.admin;
    const auto& node = part(root, "admin");
    const auto loopback = loopback_addresses();
    const auto is_local = [&](const base::Cidr& range) {
        return std::ranges::any_of(loopback, [&](const base::Cidr& local) { return local.contains(range); });
    };
    if (admin.allow.empty())
        reader.problems().warning(part(node, "allow").mark, "allow: an empty list lets nobody ask",
                                  "remove the key to let this machine ask");
    if (admin.address.unix_path.empty() && admin.token_file.empty() && !std::ranges::all_of(admin.allow, is_local))
        reader.problems().warning(part(node, "allow").mark,
                                  "allow: other machines may change the state of servers without a token",
                                  "give a token_file");
}

void check_servers(const Pool& pool, const Node& node, Reader& reader) {
    const auto& list = part(node, "servers");
    Unique names(reader.problems(), "the server", "give each server a name of its own");
    bool any_weight = false;
    bool any_primary = false;
    for (std::size_t i = 0; i < pool.servers.size(); ++i) {
        const auto& server = pool.servers[i];
        const auto& at = item(list, i);
        if (!server.name.empty()) names.add(server.name, part(at, "name"));
        any_weight |= server.weight > 0;
        any_primary |= !server.backup;
    }
    if (reader.is_broken(node) || pool.servers.empty()) return;
    if (!any_weight)
        reader.problems().warning(list.mark, "every server of the pool " + in_quotes(pool.name) + " has the weight 0",
                                  "the pool takes no traffic until a weight is changed");
    if (!any_primary)
        reader.problems().warning(list.mark, "every server of the pool " + in_quotes(pool.name) + " is a backup",
                                  "remove 'backup: true' where it is not meant");
}

/// A cookie that differs from the default is there for a purpose.
bool is_default(const Cookie& cookie) {
    const auto defaults = Pool{}.cookie;
    const auto rest = [](const Cookie& c) {
        return std::tie(c.name, c.max_age, c.domain, c.path, c.secure, c.http_only, c.same_site, c.key_file,
                        c.fallback);
    };
    return rest(cookie) == rest(defaults);
}

/// What the routes use of the pools.
struct Use {
    std::set<std::string_view> pools;
    std::set<std::string_view> sticky;  ///< pools that a route uses by cookie-sticky, whatever their own policy
    bool all_known = true;  ///< else a route that meant one of the pools, but misspelled it, leaves open which
};

Use use_of_pools(const Config& config, const Node& root) {
    std::set<std::string_view> known;
    for (const auto& pool : config.pools) known.insert(pool.name);
    Use use;
    for (std::size_t i = 0; i < config.routes.size(); ++i) {
        const auto& route = config.routes[i];
        use.pools.insert(route.pool);
        if (route.balance == Policy::cookie_sticky) use.sticky.insert(route.pool);
        if (item(part(root, "routes"), i).find("pool") != nullptr) use.all_known &= known.contains(route.pool);
    }
    return use;
}

void check_pools(const Config& config, const Node& root, Reader& reader) {
    const auto& list = part(root, "pools");
    const auto use = use_of_pools(config, root);
    for (std::size_t i = 0; i < config.pools.size(); ++i) {
        const auto& pool = config.pools[i];
        const auto& node = named_item(list, i);
        check_servers(pool, node, reader);
        const bool is_sticky = pool.balance == Policy::cookie_sticky || use.sticky.contains(pool.name);
        if (const auto* cookie = node.find("cookie"); cookie != nullptr && !is_default(pool.cookie) && !is_sticky)
            reader.problems().warning(cookie->mark, "the cookie of the pool " + in_quotes(pool.name) + " is never used",
                                      "write balance: cookie-sticky");
        if (use.all_known && !config.routes.empty() && !use.pools.contains(pool.name))
            reader.problems().warning(list.entries[i].mark, "no route uses the pool " + in_quotes(pool.name),
                                      "add a route with pool: " + pool.name + ", or remove the pool");
    }
}

}  // namespace

const Node& part(const Node& node, std::string_view key) {
    const auto* found = node.find(key);
    return found == nullptr ? node : *found;
}

const Node& item(const Node& node, std::size_t index) {
    return index < node.items.size() ? node.items[index] : node;
}

const Node& named_item(const Node& node, std::size_t index) {
    return index < node.entries.size() ? node.entries[index].value : node;
}

void check_config(const Config& config, const Node& root, Reader& reader) {
    check_listeners(config, root, reader);
    check_admin(config, root, reader);
    check_pools(config, root, reader);
    check_routes(config, part(root, "routes"), reader);
}

}  // namespace nsboot_lb::config
