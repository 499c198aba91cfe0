// Whose a socket is that came with the process, and what is done with one that is nobody's.
#include "nsboot_lb/server/inherited_sockets.hpp"

#include <fcntl.h>
#include <filesystem>
#include <set>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "bound_address.hpp"
#include "nsboot_lb/net/socket_address.hpp"

namespace nsboot_lb::server {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

config::BindAddress tcp(const std::string& host, std::uint16_t port) {
    config::BindAddress address;
    address.host = host;
    address.port = port;
    return address;
}

/// A socket as systemd makes it: it blocks, and a child would have it.
int listening(const std::string& host) {
    const auto where = net::SocketAddress::tcp(base::IpAddress::parse(host).value(), 0);
    const int descriptor = ::socket(where.family(), SOCK_STREAM, 0);
    EXPECT_EQ(::bind(descriptor, where.get(), where.size), 0);
    EXPECT_EQ(::listen(descriptor, 1), 0);
    return descriptor;
}

std::uint16_t port_of(int descriptor) {
    return net::SocketAddress::bound_by(descriptor).port();
}

bool is_open(int descriptor) {
    return ::fcntl(descriptor, F_GETFD) >= 0;
}

void close_all(const std::vector<int>& descriptors) {
    for (const int descriptor : descriptors) ::close(descriptor);
}

TEST(InheritedSockets, are_claimed_by_name_all_at_once) {
    InheritedSockets inherited;
    const int first = listening("127.0.0.1");
    const int second = listening("127.0.0.1");
    ASSERT_TRUE(inherited.add("main 127.0.0.1:0", first));
    ASSERT_TRUE(inherited.add("other", listening("127.0.0.1")));
    ASSERT_TRUE(inherited.add("main 127.0.0.1:0", second));
    const auto claimed = inherited.claim("main 127.0.0.1:0", tcp("127.0.0.1", 0));
    EXPECT_THAT(claimed, ElementsAre(first, second));
    EXPECT_THAT(inherited.claim("main 127.0.0.1:0", tcp("127.0.0.1", 0)), IsEmpty());
    close_all(claimed);
}

TEST(InheritedSockets, of_another_name_are_claimed_by_the_very_address_they_are_bound_to) {
    InheritedSockets inherited;
    const int descriptor = listening("127.0.0.1");
    const auto port = port_of(descriptor);
    ASSERT_TRUE(inherited.add("nsboot-lb.socket", descriptor));
    EXPECT_THAT(inherited.claim("x", tcp("127.0.0.2", port)), IsEmpty());
    EXPECT_THAT(inherited.claim("x", tcp("0.0.0.0", port)), IsEmpty());
    EXPECT_THAT(inherited.claim("x", tcp("::", port)), IsEmpty());
    EXPECT_THAT(inherited.claim("x", tcp("127.0.0.1", static_cast<std::uint16_t>(port + 1))), IsEmpty());
    const auto claimed = inherited.claim("x", tcp("127.0.0.1", port));
    EXPECT_THAT(claimed, ElementsAre(descriptor));
    close_all(claimed);
}

TEST(InheritedSockets, do_not_block_and_are_not_passed_on_by_accident) {
    InheritedSockets inherited;
    const int descriptor = listening("127.0.0.1");
    ASSERT_TRUE(inherited.add("a", descriptor));
    EXPECT_TRUE(::fcntl(descriptor, F_GETFL) & O_NONBLOCK);
    EXPECT_TRUE(::fcntl(descriptor, F_GETFD) & FD_CLOEXEC);
}

TEST(InheritedSockets, that_do_not_listen_are_refused_and_closed) {
    InheritedSockets inherited;
    const int stream = ::socket(AF_INET, SOCK_STREAM, 0);
    const int datagram = ::socket(AF_INET, SOCK_DGRAM, 0);
    const int file = ::open("/dev/null", O_RDONLY);
    for (const int descriptor : {stream, datagram, file}) {
        EXPECT_FALSE(inherited.add("a", descriptor));
        EXPECT_FALSE(is_open(descriptor));
    }
    EXPECT_THAT(inherited.close_rest(), IsEmpty());
}

TEST(InheritedSockets, that_nobody_claims_are_closed_and_named_once_each) {
    InheritedSockets inherited;
    const int left = listening("127.0.0.1");
    const auto text = "127.0.0.1:" + std::to_string(port_of(left));
    const int copy = ::dup(left);
    ASSERT_TRUE(inherited.add("a", left));
    ASSERT_TRUE(inherited.add("a", copy));
    EXPECT_THAT(inherited.close_rest(), ElementsAre(text));
    EXPECT_FALSE(is_open(left));
    EXPECT_FALSE(is_open(copy));
}

TEST(InheritedSockets, whose_socket_file_is_gone_are_of_no_use) {
    auto pattern = (std::filesystem::temp_directory_path() / "nsboot-lb-test-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    const std::filesystem::path directory{pattern};
    config::BindAddress address;
    address.unix_path = (directory / "s").string();
    const auto where = net::SocketAddress::unix_socket(address.unix_path);
    for (const bool there : {true, false}) {
        const int descriptor = ::socket(AF_UNIX, SOCK_STREAM, 0);
        ASSERT_EQ(::bind(descriptor, where.get(), where.size), 0);
        ASSERT_EQ(::listen(descriptor, 1), 0);
        if (!there) std::filesystem::remove(address.unix_path);
        InheritedSockets inherited;
        ASSERT_TRUE(inherited.add(address.text(), descriptor));
        const auto claimed = inherited.claim(address.text(), address);
        EXPECT_THAT(claimed, SizeIs(there ? 1 : 0));
        close_all(claimed);
        std::filesystem::remove(address.unix_path);
    }
    std::filesystem::remove(directory);
}

TEST(DescriptorName, is_one_that_systemd_takes) {
    EXPECT_EQ(descriptor_name("main 127.0.0.1:80"), "main 127.0.0.1_80");
    EXPECT_EQ(descriptor_name("[::]:80\n\x7f\xc3"), "[__]_80___");
    EXPECT_EQ(descriptor_name(std::string(300, 'x')).size(), 255U);
}

// --- What a listening address makes of sockets that it did not bind. ---

TEST(BoundAddress, binds_a_socket_for_each_worker_beside_one_that_it_adopted) {
    const int descriptor = listening("127.0.0.1");
    const auto port = port_of(descriptor);
    const auto adopted = BoundAddress::adopt(tcp("127.0.0.1", port), {descriptor}, 3);
    EXPECT_THAT(adopted.descriptors(), SizeIs(3));
    EXPECT_EQ(adopted.text(), "127.0.0.1:" + std::to_string(port));
    for (const int each : adopted.descriptors()) EXPECT_EQ(port_of(each), port);
}

TEST(BoundAddress, gives_every_socket_to_a_worker_and_every_worker_a_socket) {
    auto bound = BoundAddress::bind(tcp("127.0.0.1", 0), 5);
    ASSERT_TRUE(bound);
    for (const unsigned workers : {1U, 2U, 3U, 5U, 8U}) {
        SCOPED_TRACE(workers);
        std::set<int> given;
        for (unsigned worker = 0; worker < workers; ++worker) {
            const auto mine = bound->descriptors_of(worker, workers);
            EXPECT_FALSE(mine.empty());
            given.insert(mine.begin(), mine.end());
        }
        EXPECT_EQ(given, std::set<int>(bound->descriptors().begin(), bound->descriptors().end()));
    }
}

}  // namespace
}  // namespace nsboot_lb::server
