#pragma once
/// How a tunnel comes to its end when the daemon goes away: the client is told with a close frame, so that it connects
/// anew at once instead of finding out. Called by the session's worker.
#include <chrono>

namespace nsboot_lb::forward {

struct Exchange;

/// How long a tunnel that has been told to end may take: to finish the frame it is in, and for the client to close.
inline constexpr std::chrono::milliseconds tunnel_grace{1000};

/// Has the tunnel that the exchange has become, if any, say goodbye and end within tunnel_grace; once is enough.
void end_tunnel(const Exchange& exchange);

}  // namespace nsboot_lb::forward
