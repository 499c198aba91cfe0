#include "tunnel.hpp"

#include <algorithm>
#include <array>

#include "nsboot_lb/forward/end_tunnel.hpp"
#include "nsboot_lb/net/pause.hpp"
#include "response_head.hpp"
#include "websocket_frames.hpp"

namespace nsboot_lb::forward {

using observe::Reason;

/// What the two directions of a tunnel share, with its deadlines, and what its session may ask for. Lives in the
/// coroutine tunnel().
class Tunnel {
  public:
    Tunnel(Worker& worker, Client& client, net::Stream& server, net::DeadlineList& silence)
        : client_(client),
          server_(server),
          silence_limit_(silence),
          grace_limit_(worker.deadlines.list(tunnel_grace)),
          silence_(&time_is_over, this),
          grace_(&time_is_over, this) {
        silence_.arm(silence_limit_);
        client_.tunnel = this;
        if (worker.tunnels_end) go_away();
    }
    ~Tunnel() { client_.tunnel = nullptr; }
    Tunnel(const Tunnel&) = delete;
    Tunnel& operator=(const Tunnel&) = delete;

    /// The client is to be told, at the end of the frame that the server is sending.
    void go_away() {
        if (leaving_) return;
        leaving_ = true;
        grace_.arm(grace_limit_);
        if (goodbye_due()) server_.cancel_read();
    }
    /// Both directions are to end, wherever they are.
    void end_both() {
        over_ = true;
        client_.stream.cancel();
        server_.cancel();
    }
    void something_moved() { silence_.arm(silence_limit_); }
    /// Follows the server's frames. Gives what of the bytes is to be passed on.
    std::string_view take(std::string_view bytes) {
        if (last_frame()) return bytes.substr(0, frames.take_frame(bytes));
        frames.take(bytes);
        return bytes;
    }

    bool leaving() const { return leaving_; }
    bool over() const { return over_; }
    /// The same after a time in which nobody could have ended a wait.
    bool over_meanwhile() const { return over_ || client_.stream.source().broken_off(); }
    /// Nothing of the server passes any more but the frame that has begun. One that has said goodbye itself needs
    /// nobody to say it again.
    bool last_frame() const { return leaving_ && !frames.closing(); }
    bool goodbye_due() const { return last_frame() && frames.at_boundary(); }
    bool server_closed() const { return frames.closing() && frames.at_boundary(); }
    net::DeadlineList& silence_limit() { return silence_limit_; }
    net::DeadlineList& grace_limit() { return grace_limit_; }

    WebSocketFrames frames;     ///< of the server, as they were taken from it
    bool said_goodbye = false;  ///< the client was sent a close frame of ours

  private:
    static void time_is_over(void* self) { static_cast<Tunnel*>(self)->end_both(); }
    Client& client_;
    net::Stream& server_;
    net::DeadlineList& silence_limit_;
    net::DeadlineList& grace_limit_;
    net::Deadline silence_;  ///< nothing has moved in either direction for too long
    net::Deadline grace_;
    bool leaving_ = false;
    bool over_ = false;
};

namespace {

/// What a WebSocket message usually fits into. A larger read only means more turns.
constexpr std::size_t read_size = 64 * 1024;
/// Frames, or what is left of them, below this are copied: a pipe would cost more system calls than it saves copying.
constexpr std::uint64_t least_spliced_bytes = 16 * 1024;

/// One direction of a tunnel. Towards the client a frame of ours may have to come between two of the server's.
struct Direction {
    net::Stream& from;
    net::Stream& to;
    http::h1::Input& early;  ///< bytes that came before the tunnel began
    MovedBytes& moved;
    WebSocketFrames* frames = nullptr;  ///< null: towards the server
    bool withheld = false;              ///< `to` has not got all of what was taken from `from`

    bool worth_splicing() const { return frames == nullptr || frames->payload_left() >= least_spliced_bytes; }
};

/// What may go by in the kernel.
struct Unseen {
    std::uint64_t bytes = 0;
    std::string_view header;  ///< of a frame that begins with it
};

/// The rest of the frame that the stream is in, or all of the next one if it is large: its header is looked at where it
/// is, and stays there.
Unseen next_unseen(const Direction& direction, std::span<char> header) {
    if (direction.frames == nullptr) return {UINT64_MAX, {}};
    if (!direction.frames->at_boundary()) return {direction.frames->payload_left(), {}};
    auto next = *direction.frames;
    const auto peeked = direction.from.peek(header);
    const auto size = next.take_header(peeked);
    if (next.payload_left() < least_spliced_bytes) return {};
    const auto payload = std::min<std::uint64_t>(next.payload_left(), UINT32_MAX);  // whatever it says, no overflow
    return {size + payload, peeked.substr(0, size)};
}

void follow_unseen(const Direction& direction, const Unseen& unseen, std::size_t moved) {
    if (direction.frames == nullptr) return;
    const auto header = direction.frames->take_header(unseen.header.substr(0, moved));
    direction.frames->skip_payload(moved - header);
}

/// Large transfers (an image over a tunnel) skip user space while both sockets keep up. False if the connection broke.
net::Task<bool> splice_while_busy(Worker& worker, Direction& direction, Tunnel& tunnel) {
    net::BorrowedPipe pipe{worker.pipes};
    if (!pipe) co_return true;
    net::Turn turn;
    for (;;) {
        if (direction.frames != nullptr && tunnel.goodbye_due()) co_return true;
        std::array<char, WebSocketFrames::most_header_size> header{};
        const auto unseen = next_unseen(direction, header);
        if (unseen.bytes == 0) co_return true;
        const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(pipe->capacity(), unseen.bytes));
        const auto in = direction.from.splice_to_pipe(pipe->write_end(), wanted);
        if (in.status != net::IoStatus::ok) co_return in.status != net::IoStatus::failed;
        follow_unseen(direction, unseen, in.bytes);
        tunnel.something_moved();
        pipe.filled = in.bytes;
        direction.withheld = true;
        while (pipe.filled != 0) {
            const auto out = direction.to.splice_from_pipe(pipe->read_end(), pipe.filled, false);
            if (out.status == net::IoStatus::failed) co_return false;
            pipe.filled -= out.bytes;
            direction.moved += out.bytes;
            if (out.status != net::IoStatus::would_block) continue;
            const auto ready = co_await direction.to.writable();
            if (ready != net::Ready::ok) co_return false;
            tunnel.something_moved();
        }
        direction.withheld = false;
        if (turn.used_up(in.bytes)) {
            net::Yield others{worker.reactor};
            co_await others;
            if (tunnel.over_meanwhile()) co_return false;
        }
    }
}

/// Writes what the socket did not take at once, or all of what came early.
net::Task<bool> write_rest(Direction& direction, std::string_view bytes, Tunnel& tunnel) {
    direction.withheld = true;
    const iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    const auto written = co_await net::write_all(direction.to, std::span{&piece, 1}, tunnel.silence_limit());
    direction.withheld = !written.ok;
    co_return written.ok;
}

const std::string& goodbye() {
    static const auto frame = close_frame(close_going_away, "going away, please reconnect");
    return frame;
}

/// The client is told, and the server heard out: it closes when the client's answer has reached it (RFC 6455 7.1.1).
/// True if it did.
net::Task<bool> say_goodbye(Worker& worker, Direction& direction, Tunnel& tunnel) {
    const iovec piece{const_cast<char*>(goodbye().data()), goodbye().size()};
    direction.moved += piece.iov_len;
    const auto written = co_await net::write_all(direction.to, std::span{&piece, 1}, tunnel.grace_limit());
    if (!written.ok) co_return false;
    tunnel.said_goodbye = true;
    net::Turn turn;
    while (!tunnel.over()) {
        const auto ready = co_await direction.from.readable();
        if (ready != net::Ready::ok) co_return false;
        const auto unheard = direction.from.read_some(worker.scratch->bytes);
        if (unheard.status == net::IoStatus::end || unheard.status == net::IoStatus::failed) {
            direction.to.shutdown_write();
            co_return true;
        }
        if (turn.used_up(unheard.bytes)) {
            net::Yield others{worker.reactor};
            co_await others;
            if (tunnel.over_meanwhile()) co_return false;
        }
    }
    co_return false;
}

/// Copies until `from` ends, then passes the end on. True if it ended well.
net::Task<bool> copy(Worker& worker, Direction& direction, Tunnel& tunnel) {
    if (!direction.early.empty()) {
        const std::string early{direction.early.view()};
        direction.early.clear();
        if (direction.frames != nullptr) direction.frames->take(early);
        const bool written = co_await write_rest(direction, early, tunnel);
        if (!written) co_return false;
        direction.moved += early.size();
    }
    while (!tunnel.over()) {
        if (direction.frames != nullptr && tunnel.goodbye_due()) {
            const bool ended = co_await say_goodbye(worker, direction, tunnel);
            co_return ended;
        }
        const auto ready = co_await direction.from.readable();
        if (ready != net::Ready::ok) {
            if (direction.frames != nullptr && tunnel.goodbye_due()) continue;
            co_return false;
        }
        const auto result = direction.from.read_some(std::span{worker.scratch->bytes}.first(read_size));
        if (result.status == net::IoStatus::would_block) continue;
        if (result.status == net::IoStatus::failed) co_return false;
        if (result.status == net::IoStatus::end) {
            direction.to.shutdown_write();
            co_return true;
        }
        tunnel.something_moved();
        std::string_view bytes{worker.scratch->bytes.data(), result.bytes};
        if (direction.frames != nullptr) bytes = tunnel.take(bytes);
        direction.moved += bytes.size();
        const auto first = direction.to.write_some(bytes);
        if (first.status == net::IoStatus::failed) co_return false;
        if (first.bytes != bytes.size()) {
            const bool written = co_await write_rest(direction, bytes.substr(first.bytes), tunnel);
            if (!written) co_return false;
        }
        if (result.bytes == read_size && direction.worth_splicing()) {
            const bool going = co_await splice_while_busy(worker, direction, tunnel);
            if (!going) co_return false;
        }
    }
    co_return false;
}

/// One direction to its end; if that is not a good one, it is the other direction's end too.
net::Task<bool> run(Worker& worker, Direction& direction, Tunnel& tunnel) {
    const bool ended_well = co_await copy(worker, direction, tunnel);
    if (!ended_well) tunnel.end_both();
    co_return ended_well;
}

void let_go_of_view(Exchange& exchange) {
    exchange.tunnel_view = std::make_shared<TunnelView>(*exchange.route);
    exchange.route = &exchange.tunnel_view->route;
    exchange.view.reset();
}

}  // namespace

void end_tunnel(const Client& client) {
    if (client.tunnel != nullptr) client.tunnel->go_away();
}

net::Task<After> tunnel(Worker& worker, Exchange& exchange, Attempt& attempt) {
    auto& client = *exchange.client;
    auto& server = *attempt.connection;
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

    auto& gauges = *exchange.route->pool->counters;
    gauges.tunnels_active.add();
    Tunnel shared{worker, client, server.stream, *exchange.route->tunnel_idle};
    let_go_of_view(exchange);
    Direction up{client.stream, server.stream, client.input, exchange.body_received};
    Direction down{server.stream, client.stream, server.input, exchange.body_sent, &shared.frames};
    net::Concurrent<bool> upward{run(worker, up, shared)};
    upward.start();
    const bool down_ended = co_await run(worker, down, shared);
    // A server that is done, as opposed to gone, still takes what the client has to say.
    const bool up_ended = co_await upward.finished();
    gauges.tunnels_active.sub();
    exchange.upstream_duration = worker.now() - exchange.attempt_began;
    if (shared.leaving()) exchange.reason = Reason::shutting_down;
    const bool farewell = shared.said_goodbye || (shared.leaving() && shared.server_closed() && !down.withheld);
    const bool ended_well = farewell || (down_ended && up_ended);
    // What one side broke off, the other side hears of as broken off.
    if (!ended_well) server.stream.close(true);
    attempt.connection.reset();
    co_return ended_well ? After::close : After::reset;
}

}  // namespace nsboot_lb::forward
