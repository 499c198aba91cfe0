#include "inheritance.hpp"

#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <systemd/sd-daemon.h>

#include "handover.hpp"
#include "nsboot_lb/observe/log.hpp"

namespace nsboot_lb::wiring {

namespace asio = boost::asio;
namespace log = observe::log;
using boost::system::error_code;

namespace {

constexpr std::size_t largest_document_bytes = 64 * 1024 * 1024;

std::string read_document() {
    std::string text;
    struct stat file{};
    if (::fstat(document_descriptor, &file) != 0 || !S_ISREG(file.st_mode)) return text;
    if (file.st_size < 0 || static_cast<std::size_t>(file.st_size) > largest_document_bytes) return text;
    text.resize(static_cast<std::size_t>(file.st_size));
    const auto count = ::pread(document_descriptor, text.data(), text.size(), 0);
    text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return text;
}

/// Whether a process that is still there left something for exactly this one.
bool is_successor() {
    const char* const from = std::getenv(handover_variable);
    const bool meant = from != nullptr && std::to_string(::getppid()) == from;
    ::unsetenv(handover_variable);
    return meant;
}

/// Whether it is a socket to listen on.
bool take(Inheritance& inheritance, const std::string& name, int descriptor) {
    inheritance.stored[server::descriptor_name(name)].insert(identity_of(descriptor));
    return inheritance.sockets.add(name, descriptor);
}

void inherit_from_predecessor(Inheritance& inheritance) {
    auto handover = handover_of(read_document());
    ::close(document_descriptor);
    ::fcntl(channel_descriptor, F_SETFD, FD_CLOEXEC);
    inheritance.channel = channel_descriptor;
    if (!handover) {
        log::error("upgrade: what the process before left cannot be read error={}", handover.error());
        return;
    }
    for (const auto& [name, descriptors] : handover->sockets)
        for (const int descriptor : descriptors) take(inheritance, name, descriptor);
    inheritance.servers = std::move(handover->servers);
}

void inherit_from_systemd(Inheritance& inheritance) {
    char** names = nullptr;
    const int count = ::sd_listen_fds_with_names(1, &names);
    for (int i = 0; i < count; ++i) {
        const std::string name = names[i];
        if (!take(inheritance, name, SD_LISTEN_FDS_START + i))
            log::warn("systemd passed a descriptor that is not a listening stream socket name={}", name);
    }
    if (names == nullptr) return;
    for (int i = 0; names[i] != nullptr; ++i) std::free(names[i]);
    std::free(names);
}

}  // namespace

Inheritance inherit() {
    Inheritance inheritance;
    if (is_successor())
        inherit_from_predecessor(inheritance);
    else
        inherit_from_systemd(inheritance);
    return inheritance;
}

void Predecessor::replace(std::function<void()> alone) {
    alone_ = std::move(alone);
    asio::async_write(channel_, asio::buffer(word_serving), [this](const error_code& error, std::size_t) {
        if (error) return alone_();
        // Any answer will do, and so will the end: both mean that the other is done.
        channel_.async_receive(asio::buffer(&answer_, 1), [this](const error_code&, std::size_t) {
            error_code ignored;
            channel_.close(ignored);
            alone_();
        });
    });
}

}  // namespace nsboot_lb::wiring
