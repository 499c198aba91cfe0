#pragma once
/// A listening socket as one worker has it: what is inside of WorkerThread, for its own files.
#include <utility>

#include "worker_thread.hpp"

namespace nsboot_lb::server {

struct WorkerThread::Listener final : net::Source {
    Listener(net::Reactor& reactor, ListenerSetup with) : setup(std::move(with)), incoming(reactor) {}
    ~Listener() override { remove(); }
    void on_events(std::uint32_t /*events*/) override { incoming.set(); }

    ListenerSetup setup;
    net::Readiness incoming;
    net::Scope scope;  ///< cancelled when nothing is to be accepted here any more
    Backlog backlog = Backlog::served;
};

}  // namespace nsboot_lb::server
