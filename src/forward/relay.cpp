#include "relay.hpp"

#include <algorithm>
#include <optional>
#include <string>

#include "nsboot_lb/http/h1/output.hpp"
#include "nsboot_lb/net/pause.hpp"

namespace nsboot_lb::forward {

using http::Framing;
using http::h1::BodySink;
using http::h1::BodySource;

namespace {

using namespace std::chrono_literals;

/// Below this a pipe costs more system calls than it saves copying.
constexpr std::uint64_t least_spliced_bytes = 128 * 1024;
constexpr auto rate_window = 30s;
constexpr auto pacing_step = 10ms;

/// timeouts.min_rate: of the time that we spent waiting for the client alone, so that a slow server does not count
/// against it.
class ClientSpeed {
  public:
    explicit ClientSpeed(const RelayPlan& plan) : plan_(plan), bytes_before_(*plan.moved) {}

    void wait_begins(net::TimePoint now) { began_ = now; }
    /// Whether the client is still fast enough.
    bool wait_ends(net::TimePoint now) {
        waited_ += now - began_;
        if (waited_ < rate_window || plan_.least_rate == 0) return true;
        const auto seconds = std::chrono::duration_cast<std::chrono::duration<double>>(waited_).count();
        const auto bytes = static_cast<double>(*plan_.moved - bytes_before_);
        waited_ = {};
        bytes_before_ = *plan_.moved;
        return bytes >= static_cast<double>(plan_.least_rate) * seconds;
    }

  private:
    const RelayPlan& plan_;
    std::uint64_t bytes_before_;
    net::TimePoint began_{};
    net::Clock::duration waited_{};
};

RelayEnd end_of(BodySource::Status status) {
    switch (status) {
        case BodySource::Status::truncated: return RelayEnd::source_truncated;
        case BodySource::Status::malformed: return RelayEnd::source_malformed;
        case BodySource::Status::reset:
        case BodySource::Status::would_block:
        case BodySource::Status::ok: break;
    }
    return RelayEnd::source_reset;
}

/// Nothing if the source is readable.
net::Task<std::optional<RelayEnd>> wait_for_source(Worker& worker, const RelayPlan& plan, ClientSpeed& speed) {
    auto& stream = plan.source->stream();
    speed.wait_begins(worker.now());
    stream.read_deadline().arm(*plan.source_limit);
    const auto ready = co_await stream.readable();
    stream.read_deadline().disarm();
    if (ready == net::Ready::timed_out) co_return RelayEnd::source_timed_out;
    if (ready == net::Ready::cancelled) co_return RelayEnd::cancelled;
    if (plan.client_is_source && !speed.wait_ends(worker.now())) co_return RelayEnd::too_slow;
    co_return std::nullopt;
}

/// Nothing if the sink is writable.
net::Task<std::optional<RelayEnd>> wait_for_sink(Worker& worker, const RelayPlan& plan, ClientSpeed& speed) {
    auto& stream = plan.sink->stream();
    speed.wait_begins(worker.now());
    stream.write_deadline().arm(*plan.sink_limit);
    const auto ready = co_await stream.writable();
    stream.write_deadline().disarm();
    if (ready == net::Ready::timed_out) co_return RelayEnd::sink_timed_out;
    if (ready == net::Ready::cancelled) co_return RelayEnd::cancelled;
    if (!plan.client_is_source && !speed.wait_ends(worker.now())) co_return RelayEnd::too_slow;
    co_return std::nullopt;
}

/// How much may be moved now: all that is wanted, or what the bandwidth limits have left. 0 if the sink is gone.
net::Task<std::size_t> allowance(Worker& worker, const RelayPlan& plan, std::size_t wanted) {
    if (plan.bandwidth == nullptr) co_return wanted;
    for (;;) {
        const auto granted = plan.bandwidth->take(wanted, worker.now());
        if (granted != 0) co_return static_cast<std::size_t>(granted);
        net::Pause pause{worker.reactor, worker.deadlines.list(pacing_step)};
        co_await pause;
        if (plan.sink->stream().source().broken()) co_return 0;
    }
}

/// Lets the others have their turn. False if the relay was ended meanwhile.
net::Task<bool> yield(Worker& worker, const RelayPlan& plan) {
    net::Yield others{worker.reactor};
    co_await others;
    if (plan.source->stream().source().broken_off() || plan.sink->stream().source().broken_off()) co_return false;
    co_return plan.stop == nullptr || !*plan.stop;
}

bool can_splice(const RelayPlan& plan) {
    if (!plan.source->plain() || !plan.sink->plain() || plan.most_bytes != UINT64_MAX) return false;
    const auto& decoder = plan.source->decoder();
    return decoder.framing() == Framing::until_close || decoder.remaining() >= least_spliced_bytes;
}

/// Nothing if there was no pipe to be had: then the body is copied.
net::Task<std::optional<RelayEnd>> splice_body(Worker& worker, RelayPlan plan, ClientSpeed& speed) {
    net::BorrowedPipe pipe{worker.pipes};
    if (!pipe) co_return std::nullopt;
    auto& source = *plan.source;
    net::Turn turn;
    while (!source.ended()) {
        auto wanted = pipe->capacity();
        if (source.decoder().framing() == Framing::length)
            wanted = static_cast<std::size_t>(std::min<std::uint64_t>(wanted, source.decoder().remaining()));
        wanted = co_await allowance(worker, plan, wanted);
        if (wanted == 0) co_return RelayEnd::sink_failed;

        const auto in = source.stream().splice_to_pipe(pipe->write_end(), wanted);
        if (plan.bandwidth != nullptr && in.bytes < wanted) plan.bandwidth->give_back(wanted - in.bytes);
        if (in.status == net::IoStatus::failed) co_return RelayEnd::source_reset;
        if (in.status == net::IoStatus::end)
            co_return source.decoder().end_of_input() ? RelayEnd::complete : RelayEnd::source_truncated;
        if (in.status == net::IoStatus::would_block) {
            const auto stopped = co_await wait_for_source(worker, plan, speed);
            if (stopped) co_return stopped;
            continue;
        }
        pipe.filled = in.bytes;
        source.decoder().skip(in.bytes);
        while (pipe.filled != 0) {
            const auto out = plan.sink->stream().splice_from_pipe(pipe->read_end(), pipe.filled, false);
            if (out.status == net::IoStatus::failed) co_return RelayEnd::sink_failed;
            pipe.filled -= out.bytes;
            *plan.moved += out.bytes;
            if (out.status != net::IoStatus::would_block) continue;
            const auto stopped = co_await wait_for_sink(worker, plan, speed);
            if (stopped) co_return stopped;
        }
        if (turn.used_up(in.bytes)) {
            const bool going = co_await yield(worker, plan);
            if (!going) co_return RelayEnd::cancelled;
        }
    }
    co_return RelayEnd::complete;
}

/// RFC 9110 6.5.1: what frames, routes, authenticates or describes the content has no business in a trailer section.
std::string trailer_lines(const http::Fields& trailers) {
    http::h1::Output out;
    for (const auto& field : trailers) {
        if (field.id == http::FieldId::other && !field.dropped) out.append_field(field.name, field.value);
    }
    return std::string{out.text()};
}

/// Writes a batch; what the socket does not take at once is copied and waited for.
net::Task<std::optional<RelayEnd>> write_batch(Worker& worker, const RelayPlan& plan, BodySource::Batch batch,
                                               ClientSpeed& speed) {
    std::string trailers;
    if (batch.ended && plan.forward_trailers) trailers = trailer_lines(plan.source->decoder().trailers());
    const auto pieces = plan.sink->encode(batch, trailers, *worker.scratch);
    if (pieces.empty()) co_return std::nullopt;
    speed.wait_begins(worker.now());
    const auto written = co_await net::write_all(plan.sink->stream(), pieces, *plan.sink_limit);
    if (!written.ok) co_return written.timed_out ? RelayEnd::sink_timed_out : RelayEnd::sink_failed;
    *plan.moved += batch.bytes;
    if (!plan.client_is_source && !speed.wait_ends(worker.now())) co_return RelayEnd::too_slow;
    co_return std::nullopt;
}

}  // namespace

net::Task<RelayEnd> relay(Worker& worker, RelayPlan plan) {
    ClientSpeed speed{plan};
    net::Turn turn;
    for (;;) {
        if (can_splice(plan)) {
            const auto spliced = co_await splice_body(worker, plan, speed);
            if (spliced) co_return *spliced;
        }
        const auto most = co_await allowance(worker, plan, http::h1::BodyScratch::read_size);
        if (most == 0) co_return RelayEnd::sink_failed;
        const auto batch = plan.source->read(*worker.scratch, most);
        if (plan.bandwidth != nullptr && batch.bytes < most) plan.bandwidth->give_back(most - batch.bytes);
        if (batch.status == BodySource::Status::would_block) {
            const auto stopped = co_await wait_for_source(worker, plan, speed);
            if (stopped) co_return *stopped;
            continue;
        }
        if (batch.status != BodySource::Status::ok) co_return end_of(batch.status);
        if (*plan.moved + batch.bytes > plan.most_bytes) co_return RelayEnd::too_large;
        const auto stopped = co_await write_batch(worker, plan, batch, speed);
        if (stopped) co_return *stopped;
        if (batch.ended) co_return RelayEnd::complete;
        if (turn.used_up(batch.bytes)) {
            const bool going = co_await yield(worker, plan);
            if (!going) co_return RelayEnd::cancelled;
        }
    }
}

}  // namespace nsboot_lb::forward
