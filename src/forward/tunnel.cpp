#include "tunnel.hpp"

#include <algorithm>

#include "nsboot_lb/net/pause.hpp"
#include "response_head.hpp"

namespace nsboot_lb::forward {

using observe::Reason;

namespace {

/// What a WebSocket message usually fits into. A larger read only means more turns.
constexpr std::size_t read_size = 64 * 1024;

/// One direction of a tunnel.
struct Direction {
    net::Stream& from;
    net::Stream& to;
    http::h1::Input& early;  ///< bytes that came before the tunnel began
    MovedBytes& moved;
};

/// Ends both directions when nothing has moved in either for too long.
class Silence {
  public:
    Silence(net::Stream& client, net::Stream& server, net::DeadlineList& limit)
        : client_(client), server_(server), limit_(limit), deadline_(&too_long, this) {
        deadline_.arm(limit);
    }
    void broken() { deadline_.arm(limit_); }
    bool over() const { return over_; }
    void end_both() {
        over_ = true;
        client_.cancel();
        server_.cancel();
    }
    net::DeadlineList& limit() { return limit_; }

  private:
    static void too_long(void* self) { static_cast<Silence*>(self)->end_both(); }
    net::Stream& client_;
    net::Stream& server_;
    net::DeadlineList& limit_;
    net::Deadline deadline_;
    bool over_ = false;
};

/// Large transfers (an image over a tunnel) skip user space while both sockets keep up. False if the connection broke.
net::Task<bool> splice_while_busy(Worker& worker, Direction direction, Silence& silence) {
    net::BorrowedPipe pipe{worker.pipes};
    if (!pipe) co_return true;
    net::Turn turn;
    for (;;) {
        const auto in = direction.from.splice_to_pipe(pipe->write_end(), pipe->capacity());
        if (in.status != net::IoStatus::ok) co_return in.status != net::IoStatus::failed;
        silence.broken();
        pipe.filled = in.bytes;
        while (pipe.filled != 0) {
            const auto out = direction.to.splice_from_pipe(pipe->read_end(), pipe.filled, false);
            if (out.status == net::IoStatus::failed) co_return false;
            pipe.filled -= out.bytes;
            direction.moved += out.bytes;
            if (out.status != net::IoStatus::would_block) continue;
            const auto ready = co_await direction.to.writable();
            if (ready != net::Ready::ok) co_return false;
            silence.broken();
        }
        if (turn.used_up(in.bytes)) {
            net::Yield others{worker.reactor};
            co_await others;
            if (silence.over()) co_return false;
        }
    }
}

/// Copies until `from` ends, then passes the end on. True if it ended well.
net::Task<bool> copy(Worker& worker, Direction direction, Silence& silence) {
    if (!direction.early.empty()) {
        const std::string early{direction.early.view()};
        direction.early.clear();
        const iovec piece{const_cast<char*>(early.data()), early.size()};
        const auto written = co_await net::write_all(direction.to, std::span{&piece, 1}, silence.limit());
        if (!written.ok) co_return false;
        direction.moved += early.size();
    }
    for (;;) {
        const auto ready = co_await direction.from.readable();
        if (ready != net::Ready::ok) co_return false;
        const auto result = direction.from.read_some(std::span{worker.scratch->bytes}.first(read_size));
        if (result.status == net::IoStatus::would_block) continue;
        if (result.status == net::IoStatus::failed) co_return false;
        if (result.status == net::IoStatus::end) {
            direction.to.shutdown_write();
            co_return true;
        }
        silence.broken();
        direction.moved += result.bytes;
        const std::string_view bytes{worker.scratch->bytes.data(), result.bytes};
        const auto first = direction.to.write_some(bytes);
        if (first.bytes != bytes.size()) {
            if (first.status == net::IoStatus::failed) co_return false;
            const iovec rest{const_cast<char*>(bytes.data()) + first.bytes, bytes.size() - first.bytes};
            const auto written = co_await net::write_all(direction.to, std::span{&rest, 1}, silence.limit());
            if (!written.ok) co_return false;
        }
        if (result.bytes == read_size) {
            const bool going = co_await splice_while_busy(worker, direction, silence);
            if (!going) co_return false;
        }
    }
}

/// One direction to its end; if that is not a good one, it is the other direction's end too.
net::Task<bool> run(Worker& worker, Direction direction, Silence& silence) {
    const bool ended_well = co_await copy(worker, direction, silence);
    if (!ended_well) silence.end_both();
    co_return ended_well;
}

}  // namespace

net::Task<After> tunnel(Worker& worker, Exchange& exchange, Attempt& attempt) {
    auto& client = *exchange.client;
    auto& server = *attempt.connection;
    auto& gauges = *exchange.route->pool->counters;
    exchange.status = worker.response_head.status;
    exchange.response_started = true;
    write_interim_head(worker, worker.response_head, worker.response_out);
    if (attempt.head_in_input)
        server.input.consume(worker.response_head.size);
    else
        server.input.append(attempt.rest);
    exchange.head_sent += worker.response_out.size();
    const iovec head{const_cast<char*>(worker.response_out.text().data()), worker.response_out.size()};
    const auto written = co_await net::write_all(client.stream, std::span{&head, 1}, *exchange.view->send_timeout);
    if (!written.ok) {
        exchange.reason = Reason::client_aborted;
        co_return After::reset;
    }

    gauges.tunnels_active.add();
    Silence silence{client.stream, server.stream, *exchange.route->tunnel_idle};
    net::Concurrent<bool> upward{
        run(worker, Direction{client.stream, server.stream, client.input, exchange.body_received}, silence)};
    upward.start();
    const bool down_ended =
        co_await run(worker, Direction{server.stream, client.stream, server.input, exchange.body_sent}, silence);
    // A server that is done, as opposed to gone, still takes what the client has to say.
    const bool up_ended = co_await upward.finished();
    gauges.tunnels_active.sub();
    exchange.upstream_duration = worker.now() - exchange.attempt_began;
    // What one side broke off, the other side hears of as broken off.
    if (!down_ended || !up_ended) server.stream.close(true);
    attempt.connection.reset();
    co_return down_ended&& up_ended ? After::close : After::reset;
}

}  // namespace nsboot_lb::forward
