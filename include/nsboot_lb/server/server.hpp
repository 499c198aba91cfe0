#pragma once
/// The daemon as a whole: its configuration in force, its workers, its listening addresses, and how they change: start,
/// reload, drain, stop. Belongs to the control thread; main owns it and wires the admin listener to it.
#include <chrono>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "nsboot_lb/config/load.hpp"
#include "nsboot_lb/forward/snapshot.hpp"
#include "nsboot_lb/observe/access_log.hpp"
#include "nsboot_lb/observe/statistics.hpp"
#include "nsboot_lb/server/inherited_sockets.hpp"

namespace nsboot_lb::server {

/// What a reload came to. Problems are as --check writes them, changes as the log tells them.
struct Reloaded {
    bool successful = false;
    std::vector<std::string> problems;
    std::vector<std::string> changes;
    std::vector<std::string> restart_needed;  ///< keys that differ from what runs, and will until a restart
};

/// A listener's address as it is really bound.
struct Listening {
    std::string listener;  ///< its name
    std::string address;
};

/// The listening sockets of an address, under the name that a successor claims them by.
struct ListeningSockets {
    std::string name;
    std::vector<int> descriptors;
};

enum class ServerState : std::uint8_t { up, drain, down };

/// What is known of one endpoint that a new process would have to find out again, or could not.
struct ServerMemory {
    std::string pool;
    std::string server;
    std::string address;
    ServerState state = ServerState::up;  ///< by the operator
    std::optional<std::uint32_t> weight;  ///< by the operator
    bool healthy = true;                  ///< by active checks
    std::string reason;                   ///< why it is not healthy, as it was logged
};

class Server {
  public:
    /// `control` is the loop of the thread that calls. `workers` stays for the process' life.
    Server(boost::asio::io_context& control, std::string config_file, unsigned workers);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// Binds, or claims from `inherited`, and serves. All or nothing: the errors say what could not be had. `memories`
    /// of endpoints that there are no more are passed over.
    std::expected<void, std::vector<std::string>> start(config::Config config, InheritedSockets& inherited,
                                                        const std::vector<ServerMemory>& memories);
    /// What else a configuration needs, made ready before anything is swapped. An error refuses it.
    using Prepare = std::function<std::expected<void, std::string>(const config::Config&)>;
    /// Loads the configuration file anew. All or nothing: with an error, `prepare`'s too, the old configuration goes
    /// on; what was prepared is then the caller's to let go of. Refused while draining. Waits for another reload that
    /// is going on, two seconds at most for names that are new, and then until every worker goes by the new
    /// configuration (requests that come from then on do) and accepts no more where it has no listener; everything else
    /// goes on meanwhile.
    boost::asio::awaitable<Reloaded> reload(Prepare prepare);
    /// Stops accepting, finishes what is in flight up to shutdown.drain_timeout, then calls `done` (on the control
    /// thread).
    void drain(std::function<void()> done);
    /// The same, but for a successor that accepts on the same sockets: what is in flight may take its time (each
    /// exchange has its own limits); only what has no end, idle connections and tunnels, is ended at
    /// shutdown.drain_timeout. drain() after this sets the limit for all.
    void leave(std::function<void()> done);
    void reopen_logs();
    /// Calls `turned` (on the control thread) as soon as every worker's loop has turned.
    void when_all_turn(std::function<void()> turned);

    /// The sockets that a successor has to have to accept in this process' place.
    std::vector<ListeningSockets> sockets() const;
    /// Others hold the sockets as well: the files of unix sockets stay when this process lets go of them.
    void keep_socket_files();
    /// Others may hold them from now on: no socket is made to let nobody new in before it is closed.
    void share_sockets();
    /// Of the endpoints for which there is anything to remember.
    std::vector<ServerMemory> memories() const;

    bool draining() const;
    const config::Config& config() const;
    /// What every worker goes by.
    const forward::Snapshot& snapshot() const;
    observe::Statistics& statistics();
    std::vector<Listening> listening() const;
    std::chrono::system_clock::time_point started() const;
    /// Client connections there may be: limits.connections, or what the descriptors are enough for.
    std::uint64_t connection_limit() const;

    enum class Changed : std::uint8_t { yes, no_such_pool, no_such_server, unresolved };
    /// By the operator, at run time; survives reloads that do not touch the server.
    Changed change_server(std::string_view pool, std::string_view server, std::optional<ServerState> state,
                          std::optional<std::uint32_t> weight);

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

/// How many workers a configuration asks for: `workers`, or as many as the process may use CPUs.
unsigned worker_count(const config::Config& config);

}  // namespace nsboot_lb::server
