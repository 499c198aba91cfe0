#pragma once
/// The listening addresses of the configuration in force: bound when they are new, taken over where a process before
/// this one or systemd has bound them, closed when they are no longer wanted. Control thread; the Server owns it.
#include <expected>
#include <map>
#include <string>
#include <vector>

#include "bound_address.hpp"
#include "nsboot_lb/config/config.hpp"
#include "nsboot_lb/observe/statistics.hpp"
#include "nsboot_lb/server/inherited_sockets.hpp"
#include "nsboot_lb/server/server.hpp"
#include "worker_thread.hpp"

namespace nsboot_lb::server {

class Listeners {
  public:
    Listeners(unsigned workers, observe::Statistics& statistics);

    /// Binds or claims what is new. On failure nothing is left bound that was not before. What an earlier publish()
    /// retired has to be closed by then: it may be wanted again.
    std::expected<void, std::string> bind(const config::Config& config, InheritedSockets* inherited);

    struct Published {
        std::vector<std::vector<ListenerSetup>> setups;  ///< by worker: the sockets to accept on from now on
        std::vector<BoundAddress> retired;  ///< wanted no longer: to be closed when no worker accepts there any more
    };
    /// After bind() of the same configuration.
    Published publish(const config::Config& config);

    const std::vector<Listening>& listening() const { return listening_; }
    std::vector<ListeningSockets> sockets() const;
    /// Others hold the sockets as well: the files of unix sockets stay.
    void keep_files();
    /// Others hold sockets of these as well, or may.
    bool kept_by_others() const { return keeps_files_ || shared_; }
    void share() { shared_ = true; }
    void close() { bound_.clear(); }

  private:
    std::expected<BoundAddress, std::string> bind_one(const std::string& key, const config::BindAddress& address,
                                                      InheritedSockets* inherited);

    const unsigned workers_;
    observe::Statistics& statistics_;
    std::map<std::string, BoundAddress> bound_;  ///< by key: see key_of()
    std::vector<Listening> listening_;
    bool keeps_files_ = false;
    bool shared_ = false;  ///< others hold some of the sockets, or did
};

}  // namespace nsboot_lb::server
