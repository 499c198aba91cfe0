#pragma once
/// One try at one endpoint: take a connection, send a request, read the head of the response, give the connection back.
/// It is given a request and gives a response, and knows nothing of who asked: an exchange, or a fetch of the daemon's
/// own. Nothing here writes anywhere but into the Attempt and worker.response_head.
///
///     connect (take_idle() or connect()) → send_head() → try_read_head() → begin_response_body() … → give_back()
///                                             └ upload(), alongside all that follows
///
/// Who may resume whom: nobody. upload() tells who waits for the head how it ended by state, and nudges it
/// (docs/decisions/waits.md).
#include <memory>
#include <optional>
#include <string_view>

#include "nsboot_lb/forward/worker.hpp"
#include "nsboot_lb/http/h1/body.hpp"
#include "nsboot_lb/net/task.hpp"
#include "nsboot_lb/upstream/retry.hpp"
#include "relay.hpp"

namespace nsboot_lb::forward {

/// Who asks: writes the request, and hears what a server says before its final response.
class AttemptOwner {
  public:
    /// The request's head, for this server.
    virtual void write_head(const upstream::Endpoint& endpoint, http::h1::Output& out) = 0;
    /// An interim response (1xx). False if nobody is there to hear it.
    virtual bool on_interim(const http::ResponseHead& head) = 0;

  protected:
    ~AttemptOwner() = default;
};

/// What every try of a request has in common. Outlives the tries.
struct AttemptPlan {
    const PoolView& pool;
    AttemptOwner& owner;
    bool repeatable = false;  ///< may reach a server twice: upstream::may_repeat()
    bool websocket = false;   ///< a 101 is an answer

    http::BodySource* body = nullptr;  ///< null: the request has none
    http::Framing body_framing = http::Framing::none;
    net::DeadlineList* body_timeout = nullptr;  ///< of one wait for the body
    bool body_waits = false;                    ///< for a 100 (Expect: 100-continue, RFC 9110 10.1.1)
    std::uint64_t least_rate = 0;
    std::uint64_t most_body = UINT64_MAX;
    MovedBytes* uploaded = nullptr;

    http::HeadLimits response_limits{};
    net::DeadlineList* connect = nullptr;
    net::DeadlineList* response = nullptr;
    net::DeadlineList* idle = nullptr;
};

/// How a try stands.
struct Tried {
    bool has_head = false;   ///< a final response head is in worker.response_head, until the coroutine waits
    bool cancelled = false;  ///< the scope was: nobody needs a response any more
    bool request_sent = false;
    upstream::Outcome outcome = upstream::Outcome::not_connected;
    upstream::Failure failure = upstream::Failure::connect_failed;
    int status = 502;  ///< what to answer if this was the last try
    observe::Reason reason = observe::Reason::none;
    bool client_fault = false;  ///< the request's body was broken: no other server can help
    bool own_fault = false;     ///< this process had nothing to make a connection with: the server is not to blame
    bool no_ports = false;      ///< own_fault: no local port towards this server, but maybe towards another one

    bool failed() const { return !has_head; }
};

class Attempt {
  public:
    Attempt(Worker& worker, const AttemptPlan& plan, std::size_t endpoint_index, upstream::InFlight slot,
            net::Scope& outer);
    ~Attempt() { view_.counters->connections_active.sub(); }
    Attempt(const Attempt&) = delete;
    Attempt& operator=(const Attempt&) = delete;

    const upstream::Endpoint& endpoint() const { return endpoint_; }
    observe::ServerCounters& counters() const { return *view_.counters; }
    net::TimePoint began() const { return began_; }
    net::Scope& scope() { return scope_; }
    upstream::InFlight take_slot() { return std::move(slot_); }

    /// An idle connection. False if there is none that may be used for this request.
    bool take_idle();
    /// A new one. Nothing if there is one.
    net::Task<std::optional<Tried>> connect();
    /// Nothing if it is on its way, or what is left of it waits for send_rest().
    std::optional<Tried> send_head();
    bool head_unsent() const { return !unsent_.empty(); }
    net::Task<std::optional<Tried>> send_rest();
    /// What there is of the response's head, after a wait for readable() that ended as `ready`. Nothing while it is not
    /// there. In the usual case it comes in one piece and is parsed where it was read.
    std::optional<Tried> try_read_head(net::Ready ready);
    net::Readiness& readable() { return connection_->stream.readable(); }
    /// Sends the body to its end. The server's time to answer begins when it has all of it, or takes no more.
    net::Task<RelayEnd> upload();
    /// Nobody needs the rest of it to be sent.
    void stop_upload() { upload_scope_.cancel(net::Cause::no_use); }
    /// Why the try is over because of what became of the upload; nothing if it is not.
    std::optional<Tried> upload_failed() const;
    bool uploaded() const { return plan_.body == nullptr || (plan_.body->ended() && upload_end_); }

    /// After the head was read: the response's body, which `has_body` says whether there is one.
    http::h1::BodyReader& begin_response_body(bool has_body);
    /// The connection of a 101.
    upstream::Connection& connection() { return *connection_; }
    /// Both messages ended cleanly: keeps the connection for others, if both sides want that.
    void give_back();
    void close(bool reset);

  private:
    enum class HeadRead : std::uint8_t { final_head, interim, incomplete, failed };

    void head_is_sent();
    std::optional<Tried> take_head(std::string_view text);
    std::optional<Tried> read_more();
    Tried head_is_there(std::string_view text);
    Tried broken(observe::Reason reason) const;
    bool body_has_begun() const;
    void on_continue();
    HeadRead look_at(std::string_view text, http::HeadError& error);
    std::string_view received(std::string_view bytes);
    void keep(std::string_view text);
    void note_reuse();

    Worker& worker_;
    const AttemptPlan& plan_;
    const upstream::Endpoint& endpoint_;
    const EndpointView view_;  ///< a copy: a tunnel outlives the view that it began with
    upstream::InFlight slot_;
    const net::TimePoint began_;
    net::Scope scope_;
    net::Scope upload_scope_{scope_};
    std::unique_ptr<upstream::Connection> connection_;
    std::optional<http::h1::BodyWriter> writer_;
    std::optional<http::h1::BodyReader> response_body_;
    std::optional<RelayEnd> upload_end_;
    net::TimePoint sent_{};       ///< the last byte of the request that went out before the response began
    std::string unsent_;          ///< of the request's head
    int interim_ = 0;             ///< interim responses so far
    bool awaits_head_ = false;    ///< the response's head has not come yet
    bool body_waits_ = false;     ///< as planned, and there has been no 100 yet
    bool begun_ = false;          ///< part of it has, and was looked at
    bool head_in_input_ = false;  ///< the head is at the beginning of the connection's input
    std::string_view rest_;       ///< else: what came behind the head, in the scratch
    bool reusable_ = false;       ///< as far as the response's head says
    std::chrono::milliseconds idle_limit_{};
};

}  // namespace nsboot_lb::forward
