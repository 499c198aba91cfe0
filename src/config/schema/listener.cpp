/// The table of the configuration: listeners.
#include "files.hpp"
#include "sections.hpp"
#include "special_values.hpp"
#include "texts.hpp"
#include "values.hpp"

namespace nsboot_lb::config {

namespace {

/// Printed only where it is not the address, since listeners on any free port may share that one.
KeyOf<Listener> listener_name_key() {
    auto made = key("name", &Listener::name, text("text", check_label), "What logs and metrics call it.")
                    .default_is("the address");
    made.write = [write = std::move(made.write)](const void* object) {
        const auto& listener = *static_cast<const Listener*>(object);
        const bool is_address = !listener.addresses.empty() && listener.name == listener.addresses.front().text();
        return is_address ? Node{} : write(object);
    };
    return made;
}

}  // namespace

const SectionOf<Listener>& listener_section() {
    static const auto section = make_section<Listener>(
        {"listener", "a listener", "listeners[]", "A bound address where clients connect."},
        {
            key("address", &Listener::addresses, list_of(bind_address(), 1),
                "Where to listen: an IP address and a port, a unix socket, or a list of these. Port 0 takes any free "
                "one.")
                .required_as("0.0.0.0:80"),
            listener_name_key(),
            key("proxy_protocol", &Listener::proxy_protocol, proxy_protocol(),
                "Accept PROXY protocol v1 and v2: from every peer (true), or from these address ranges."),
            later_key<Listener>("tls", "TLS on this listener."),
        },
        [](const Node& node, Listener& listener, Reader& reader) {
            if (listener.name.empty() && !listener.addresses.empty()) listener.name = listener.addresses.front().text();
            const auto* at = node.find("address");
            const Reader::InKey in_key(reader, "address");
            for (const auto& address : listener.addresses)
                if (!address.unix_path.empty()) check_socket_path(at ? *at : node, address.unix_path, reader);
        });
    return section;
}

}  // namespace nsboot_lb::config
