#include "nsboot_lb/config/identity.hpp"

#include "schema/sections.hpp"

namespace nsboot_lb::config {

std::string identity_of(const Route& route) {
    if (route.named) return "name " + route.name;
    auto identity = Node::map();
    for (const auto* key : {"match", "pool", "redirect", "respond"})
        identity.set(key, route_section().find(key)->write(&route));
    return to_flow_yaml(identity);
}

}  // namespace nsboot_lb::config
