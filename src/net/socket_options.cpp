#include "nsboot_lb/net/socket_options.hpp"

#include <array>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace nsboot_lb::net {

void peer_options(int descriptor) {
    const auto set = [descriptor](int level, int option, int value) {
        ::setsockopt(descriptor, level, option, &value, sizeof value);
    };
    set(SOL_SOCKET, SO_KEEPALIVE, 1);
    set(IPPROTO_TCP, TCP_KEEPIDLE, 15);
    set(IPPROTO_TCP, TCP_KEEPINTVL, 5);
    set(IPPROTO_TCP, TCP_KEEPCNT, 3);
    set(SOL_SOCKET, SO_OOBINLINE, 1);
}

void let_nobody_new_in(int listening) {
    // A TCP listener's filter sees each segment from its TCP header on: one with SYN (octet 13, bit 1) is dropped. A
    // backlog of 0 alone would let one more in whenever it is empty.
    std::array<sock_filter, 4> program{{
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x02, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xffff'ffff),
    }};
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    int domain = AF_UNSPEC;
    socklen_t size = sizeof domain;
    ::getsockopt(listening, SOL_SOCKET, SO_DOMAIN, &domain, &size);
    if (domain == AF_UNIX) {
        ::shutdown(listening, SHUT_RD);  // who connects is refused; who waits can still be accepted
        return;
    }
    if (::setsockopt(listening, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0) ::listen(listening, 0);
}

}  // namespace nsboot_lb::net
