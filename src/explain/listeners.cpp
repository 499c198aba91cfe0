#include "listeners.hpp"

#include "nsboot_lb/base/cidr.hpp"

namespace nsboot_lb::explain {

namespace {

/// Whether a connection to that host may arrive at the address: a name may be any address, an address is itself or
/// caught by the one that stands for all of its family.
bool takes_host(const config::BindAddress& address, const std::string& host) {
    const auto wanted = base::IpAddress::parse(host);
    const auto bound = base::IpAddress::parse(address.host);
    if (!wanted || !bound || *wanted == *bound) return true;
    if (wanted->is_v4() != (address.host.find(':') == std::string::npos)) return false;
    return address.host == "0.0.0.0" || *bound == base::IpAddress{};
}

bool takes(const config::BindAddress& address, const AskedRequest& asked) {
    if (!asked.port) return true;  // a path alone may have been asked for anywhere
    if (!address.unix_path.empty()) return false;
    return (address.port == 0 || address.port == *asked.port) && takes_host(address, asked.host);
}

std::string proxy_protocol_text(const config::ProxyProtocol& proxy) {
    std::string from;
    for (const auto& range : proxy.from) from += (from.empty() ? "" : " ") + range.text();
    return "  expects a PROXY protocol header from " + (from.empty() ? "everybody" : from) + "\n";
}

std::string candidate(const config::Listener& listener, const config::BindAddress& address, const AskedRequest& asked) {
    auto text = "listener: " + listener.name;
    if (listener.name != address.text()) text += " at " + address.text();
    if (asked.port && address.port == 0) text += ", if the kernel chooses port " + std::to_string(*asked.port);
    text += "\n";
    if (listener.proxy_protocol.enabled) text += proxy_protocol_text(listener.proxy_protocol);
    return text;
}

std::string nowhere(const config::Config& config, const AskedRequest& asked) {
    std::string there;
    for (const auto& listener : config.listeners)
        for (const auto& address : listener.addresses) there += (there.empty() ? "" : ", ") + address.text();
    return "listener: none at " + asked.host + " port " + std::to_string(*asked.port) + "\n  there are " + there +
           "; what follows holds for a request that comes in there\n";
}

}  // namespace

std::string listeners_text(const config::Config& config, const AskedRequest& asked) {
    if (asked.scheme == "https")
        return "listener: none speaks TLS\n  what follows holds for a request that comes in over plain HTTP, such as "
               "from something in front that ends TLS\n";
    std::string text;
    for (const auto& listener : config.listeners)
        for (const auto& address : listener.addresses)
            if (takes(address, asked)) text += candidate(listener, address, asked);
    return text.empty() ? nowhere(config, asked) : text;
}

}  // namespace nsboot_lb::explain
