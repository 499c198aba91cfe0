#include "tunnel.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <unistd.h>

#include "gauged.hpp"
#include "nsboot_lb/forward/end_tunnel.hpp"
#include "websocket_frames.hpp"

namespace nsboot_lb::forward {

using observe::Reason;

/// What the two directions of a tunnel share, with its deadlines, and what its session may ask for. Lives in the
/// coroutine tunnel().
class Tunnel {
  public:
    Tunnel(Worker& worker, Exchange& exchange, net::Stream& server, net::Scope& scope, net::DeadlineList& silence)
        : exchange_(exchange),
          server_(server),
          scope_(scope),
          silence_limit_(silence),
          grace_limit_(worker.deadlines.list(tunnel_grace)),
          silence_(&time_is_over, this),
          grace_(&time_is_over, this) {
        silence_.arm(silence_limit_);
        exchange_.tunnel = this;
        if (worker.tunnels_end) go_away();
    }
    ~Tunnel() { exchange_.tunnel = nullptr; }
    Tunnel(const Tunnel&) = delete;
    Tunnel& operator=(const Tunnel&) = delete;

    /// The client is to be told, at the end of the frame that the server is sending.
    void go_away() {
        if (leaving_) return;
        leaving_ = true;
        grace_.arm(grace_limit_);
        if (goodbye_due()) server_.readable().nudge();
    }
    /// Both directions are to end, wherever they are.
    void end_both() { scope_.cancel(net::Cause::no_use); }
    void something_moved() { silence_.arm(silence_limit_); }
    /// Follows the server's frames. Gives what of the bytes is to be passed on.
    std::string_view take(std::string_view bytes) {
        if (last_frame()) return bytes.substr(0, frames.take_frame(bytes));
        frames.take(bytes);
        return bytes;
    }

    net::Scope& scope() { return scope_; }
    bool leaving() const { return leaving_; }
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
    Exchange& exchange_;
    net::Stream& server_;
    net::Scope& scope_;
    net::DeadlineList& silence_limit_;
    net::DeadlineList& grace_limit_;
    net::Deadline silence_;  ///< nothing has moved in either direction for too long
    net::Deadline grace_;
    bool leaving_ = false;
};

namespace {

/// What a WebSocket message usually fits into. A larger read only means more turns.
constexpr std::size_t read_size = 64 * 1024;
/// Frames, or what is left of them, below this are copied: a pipe would cost more system calls than it saves copying.
constexpr std::uint64_t least_spliced_bytes = 16 * 1024;
/// At a time: a peer that takes nothing has no more than this copied out for it.
constexpr std::uint64_t most_spliced_bytes = net::Reactor::most_turn_bytes;

/// One direction of a tunnel. Towards the client a frame of ours may have to come between two of the server's.
struct Direction {
    net::Stream& from;
    net::Stream& to;
    http::Input& early;  ///< bytes that came before the tunnel began
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

/// The pipe is needed by others while `to` is waited for: what is in it is copied out.
std::string emptied(net::BorrowedPipe& pipe) {
    std::string bytes(pipe.filled, '\0');
    const auto got = ::read(pipe->read_end(), bytes.data(), bytes.size());
    bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    pipe.filled -= bytes.size();
    return bytes;
}

/// Writes what the socket did not take at once, or all of what came early. Whoever takes something is not silent.
net::Task<bool> write_rest(Direction& direction, std::string_view bytes, Tunnel& tunnel) {
    direction.withheld = true;
    std::string rest{bytes};
    for (std::string_view left = rest; !left.empty();) {
        const auto sent = direction.to.try_write(left);
        if (sent.status == net::IoStatus::failed) co_return false;
        if (sent.bytes != 0) tunnel.something_moved();
        left.remove_prefix(sent.bytes);
        if (left.empty()) break;
        const auto ready = co_await direction.to.writable().wait(tunnel.scope());
        if (ready != net::Ready::ok) co_return false;
    }
    direction.withheld = false;
    co_return true;
}

/// Large transfers (an image over a tunnel) skip user space while both sockets keep up. False if the connection broke.
net::Task<bool> splice_while_busy(Worker& worker, Direction& direction, Tunnel& tunnel) {
    std::optional<net::BorrowedPipe> pipe;
    for (;;) {
        if (!pipe) pipe.emplace(worker.pipes);
        if (!*pipe) co_return true;
        if (direction.frames != nullptr && tunnel.goodbye_due()) co_return true;
        std::array<char, WebSocketFrames::most_header_size> header{};
        const auto unseen = next_unseen(direction, header);
        if (unseen.bytes == 0) co_return true;
        const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(most_spliced_bytes, unseen.bytes));
        const auto in = direction.from.splice_to_pipe((*pipe)->write_end(), wanted);
        if (in.status != net::IoStatus::ok) co_return in.status != net::IoStatus::failed;
        follow_unseen(direction, unseen, in.bytes);
        tunnel.something_moved();
        direction.moved += in.bytes;
        pipe->filled = in.bytes;
        while (pipe && pipe->filled != 0) {
            const auto out = direction.to.splice_from_pipe((*pipe)->read_end(), pipe->filled);
            if (out.status == net::IoStatus::failed) co_return false;
            pipe->filled -= out.bytes;
            if (out.status != net::IoStatus::would_block) continue;
            const auto rest = emptied(*pipe);
            pipe.reset();  // others can use it while this one waits
            const bool written = co_await write_rest(direction, rest, tunnel);
            if (!written) co_return false;
        }
    }
}

const std::string& goodbye() {
    static const auto frame = close_frame(close_going_away, "going away, please reconnect");
    return frame;
}

/// The client is told, and the server heard out: it closes when the client's answer has reached it (RFC 6455 7.1.1).
/// True if it did.
net::Task<bool> say_goodbye(Worker& worker, Direction& direction, Tunnel& tunnel) {
    direction.moved += goodbye().size();
    const auto written = co_await net::write_all(direction.to, tunnel.scope(), goodbye(), tunnel.grace_limit());
    if (!written.ok) co_return false;
    tunnel.said_goodbye = true;
    for (;;) {
        const auto ready = co_await direction.from.readable().wait(tunnel.scope());
        if (ready != net::Ready::ok) co_return false;
        const auto unheard = direction.from.try_read(worker.scratch->bytes);
        if (unheard.status != net::IoStatus::end && unheard.status != net::IoStatus::failed) continue;
        direction.to.shutdown_write();
        co_return true;
    }
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
    for (;;) {
        if (direction.frames != nullptr && tunnel.goodbye_due()) {
            const bool ended = co_await say_goodbye(worker, direction, tunnel);
            co_return ended;
        }
        const auto ready = co_await direction.from.readable().wait(tunnel.scope());
        if (ready != net::Ready::ok) co_return false;
        const auto result = direction.from.try_read(std::span{worker.scratch->bytes}.first(read_size));
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
        const auto first = direction.to.try_write(bytes);
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

void end_tunnel(const Exchange& exchange) {
    if (exchange.tunnel != nullptr) exchange.tunnel->go_away();
}

net::Task<End> tunnel(Worker& worker, Exchange& exchange, Attempt& attempt) {
    exchange.upgraded = worker.now();
    auto& server = attempt.connection();
    auto client = exchange.response->upgrade(worker.response_head, worker.pseudonym);
    attempt.begin_response_body(false);  // what came behind the head is the tunnel's: it lies in the input now
    while (exchange.response->holds()) {
        const auto ready = co_await net::wait_writable(client.stream, attempt.scope(), *exchange.view->send_timeout);
        if (ready != net::Ready::ok || exchange.response->try_flush() == net::IoStatus::failed) {
            exchange.reason = ended_because(attempt.scope());
            co_return End::cut_short;
        }
    }
    const Gauged counted{exchange.route->pool->counters->tunnels_active};
    auto& silence = *exchange.route->tunnel_idle;
    let_go_of_view(exchange);
    Tunnel shared{worker, exchange, server.stream, attempt.scope(), silence};
    Direction up{client.stream, server.stream, client.input, exchange.body_received};
    Direction down{server.stream, client.stream, server.input, exchange.body_sent, &shared.frames};
    // A server that is done, as opposed to gone, still takes what the client has to say.
    const auto ended = co_await net::alongside(attempt.scope(), run(worker, up, shared), run(worker, down, shared));
    exchange.upstream_duration = worker.now() - attempt.began();
    if (shared.leaving() || attempt.scope().cause() == net::Cause::shutting_down)
        exchange.reason = Reason::shutting_down;
    const bool farewell = shared.said_goodbye || (shared.leaving() && shared.server_closed() && !down.withheld);
    const bool ended_well = farewell || (ended.first && ended.second);
    // What one side broke off, the other side hears of as broken off.
    attempt.close(!ended_well);
    co_return ended_well ? End::complete : End::cut_short;
}

}  // namespace nsboot_lb::forward
