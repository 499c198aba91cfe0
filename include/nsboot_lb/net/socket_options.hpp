#pragma once
/// Socket options that clients and servers have in common. Pure system calls, for any thread; what the kernel refuses
/// is left as it is.

namespace nsboot_lb::net {

/// Of a connection; of a listening socket: of all that it accepts. A peer that lost power, or its network, is noticed
/// after half a minute even if nothing has to be sent to it: tried every 5 s after 15 s of silence, three times. A byte
/// that it sends as urgent is read in its place: left out, it would be missing in a body.
void peer_options(int descriptor);

/// Of a listening socket that is about to be closed, and that nobody else holds: who begins a connection now is not
/// answered, and tries again a second later, when the socket is gone (of a unix socket: is refused); who has been
/// answered gets in. There is no way back.
void let_nobody_new_in(int listening);

}  // namespace nsboot_lb::net
