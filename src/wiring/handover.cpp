#include "handover.hpp"

#include <limits>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_to.hpp>

namespace nsboot_lb::wiring {

namespace json = boost::json;
using server::ServerState;

namespace {

std::string_view word_of(ServerState state) {
    switch (state) {
        case ServerState::drain: return "drain";
        case ServerState::down: return "down";
        case ServerState::up: break;
    }
    return "up";
}

ServerState state_of(std::string_view word) {
    if (word == "drain") return ServerState::drain;
    return word == "down" ? ServerState::down : ServerState::up;
}

json::value value_of(const server::ServerMemory& memory) {
    json::object object{{"pool", memory.pool},       {"server", memory.server},
                        {"address", memory.address}, {"state", word_of(memory.state)},
                        {"healthy", memory.healthy}, {"reason", memory.reason}};
    if (memory.weight) object["weight"] = *memory.weight;
    return object;
}

/// The member of that name, if it is there and of the type.
template <class T>
T member(const json::object& object, std::string_view name, T otherwise) {
    const auto* value = object.if_contains(name);
    if (value == nullptr) return otherwise;
    const auto read = json::try_value_to<T>(*value);
    return read ? *read : otherwise;
}

/// Members that are objects of the array of that name; nothing where there is no such array.
std::vector<json::object> objects(const json::object& document, std::string_view name) {
    std::vector<json::object> all;
    const auto* value = document.if_contains(name);
    if (value == nullptr || !value->is_array()) return all;
    for (const auto& element : value->get_array())
        if (element.is_object()) all.push_back(element.get_object());
    return all;
}

server::ServerMemory memory_of(const json::object& object) {
    server::ServerMemory memory;
    memory.pool = member<std::string>(object, "pool", "");
    memory.server = member<std::string>(object, "server", "");
    memory.address = member<std::string>(object, "address", "");
    memory.state = state_of(member<std::string>(object, "state", "up"));
    memory.healthy = member(object, "healthy", true);
    memory.reason = member<std::string>(object, "reason", "");
    constexpr std::int64_t none = -1;
    const auto weight = member(object, "weight", none);
    if (weight >= 0 && weight <= std::numeric_limits<std::uint16_t>::max())
        memory.weight = static_cast<std::uint32_t>(weight);
    return memory;
}

}  // namespace

std::string to_json(const Handover& handover) {
    json::array sockets;
    for (const auto& socket : handover.sockets) {
        json::array descriptors;
        for (const int descriptor : socket.descriptors) descriptors.push_back(descriptor);
        sockets.push_back(json::object{{"name", socket.name}, {"descriptors", std::move(descriptors)}});
    }
    json::array servers;
    for (const auto& memory : handover.servers) servers.push_back(value_of(memory));
    return json::serialize(json::object{{"sockets", std::move(sockets)}, {"servers", std::move(servers)}});
}

std::expected<Handover, std::string> handover_of(std::string_view text) {
    json::error_code error;
    const auto document = json::parse(text, error);
    if (error) return std::unexpected("not JSON: " + error.message());
    if (!document.is_object()) return std::unexpected("not a JSON object");
    Handover handover;
    for (const auto& object : objects(document.get_object(), "sockets")) {
        handover.sockets.push_back(
            {member<std::string>(object, "name", ""), member(object, "descriptors", std::vector<int>{})});
    }
    for (const auto& object : objects(document.get_object(), "servers")) handover.servers.push_back(memory_of(object));
    return handover;
}

}  // namespace nsboot_lb::wiring
