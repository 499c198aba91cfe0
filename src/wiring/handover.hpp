#pragma once
/// What a process leaves to its successor in a hot upgrade: which descriptor is which listening socket, and what it
/// knows of the servers. JSON, since the two may be of different versions: what a reader does not know it passes over.
/// Pure values.
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "nsboot_lb/server/server.hpp"

namespace nsboot_lb::wiring {

struct Handover {
    std::vector<server::ListeningSockets> sockets;  ///< descriptors as the successor has them
    std::vector<server::ServerMemory> servers;
};

std::string to_json(const Handover& handover);
/// The error says what is wrong with the text.
std::expected<Handover, std::string> handover_of(std::string_view json);

// How the successor finds it all.

/// Environment variable: the process id of the process that left it, so that nobody else takes it to be meant.
inline constexpr const char* handover_variable = "NSBOOT_LB_UPGRADE_FROM";
inline constexpr int document_descriptor = 3;  ///< a file with the JSON
inline constexpr int channel_descriptor = 4;   ///< a stream socket to the process that left it
inline constexpr int first_socket_descriptor = 5;
/// Over the channel, the successor first: "I serve", "then it is all yours".
inline constexpr std::string_view word_serving = "serving\n";
inline constexpr std::string_view word_yours = "yours\n";

}  // namespace nsboot_lb::wiring
