#pragma once
/// What may look at or change an exchange on its way: address lists, credentials, header changes. A filter is made with
/// the snapshot for one route, immutable, and called by every worker.
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "nsboot_lb/net/task.hpp"
#include "nsboot_lb/observe/reason.hpp"

namespace nsboot_lb::http {
struct ResponseHead;
}

namespace nsboot_lb::forward {

struct Exchange;
struct Worker;

/// A response that the daemon makes itself.
struct Answer {
    int status = 500;
    observe::Reason reason = observe::Reason::none;  ///< none: the configuration asked for it, nothing is wrong
    std::string body;
    std::vector<std::pair<std::string, std::string>> fields;  ///< besides Content-Length, Date, Via …
    bool close = false;                                       ///< the client connection cannot be used afterwards
};

/// A short plain-text answer with an error status.
Answer error_answer(int status, observe::Reason reason, std::string_view text = {});

/// What a filter says of a request: go on (nothing), an answer, or that it needs time.
struct Later {};
using RequestVerdict = std::variant<std::monostate, Answer, Later>;

class Filter {
  public:
    virtual ~Filter() = default;
    /// What it is for, in the words of the configuration: "allow 10.0.0.0/8". For `nsboot-lb explain`.
    virtual std::string describe() const = 0;
    /// Before a server is picked. An answer ends the exchange; Later asks for on_request_later().
    virtual RequestVerdict on_request(Exchange& /*exchange*/) const { return {}; }
    /// For what would hold up the event loop (checking a password takes milliseconds): does it elsewhere and waits.
    virtual net::Task<std::optional<Answer>> on_request_later(Worker& /*worker*/, Exchange& /*exchange*/) const {
        co_return std::nullopt;
    }
    /// When the final response head is there, nothing of it sent. An answer takes its place.
    virtual std::optional<Answer> on_response(Exchange& /*exchange*/, http::ResponseHead& /*head*/) const {
        return std::nullopt;
    }
};

}  // namespace nsboot_lb::forward
