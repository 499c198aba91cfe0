#pragma once
/// Passes a server's final response on to the client, head and body, and gives the connection back for reuse if both
/// messages ended cleanly. The last part of an exchange: nothing can be tried again once it has begun.
#include <optional>

#include "attempt.hpp"
#include "nsboot_lb/forward/worker.hpp"
#include "nsboot_lb/net/task.hpp"
#include "relay.hpp"

namespace nsboot_lb::forward {

class Delivery {
  public:
    Delivery(Worker& worker, Exchange& exchange, Attempt& attempt)
        : worker_(worker), exchange_(exchange), attempt_(attempt) {}
    Delivery(const Delivery&) = delete;
    Delivery& operator=(const Delivery&) = delete;

    /// Begins with the head that is in worker.response_head, and moves what can be moved without waiting. Nothing:
    /// deliver() does the rest.
    std::optional<End> try_deliver();
    net::Task<End> deliver();

  private:
    RelayPlan plan_of(http::BodySource& body);
    End finish(RelayEnd end);

    Worker& worker_;
    Exchange& exchange_;
    Attempt& attempt_;
    std::optional<Bandwidth::Share> share_;
    std::optional<Relay> relay_;  ///< none: a tunnel
};

}  // namespace nsboot_lb::forward
