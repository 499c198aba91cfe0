#include "relay.hpp"

#include <algorithm>
#include <array>
#include <unistd.h>

#include "nsboot_lb/http/h1/body.hpp"
#include "nsboot_lb/http/h1/output.hpp"

namespace nsboot_lb::forward {

using http::BodySource;
using net::IoStatus;

namespace {

using namespace std::chrono_literals;

/// Below this a pipe costs more system calls than it saves copying.
constexpr std::uint64_t least_spliced_bytes = 128 * 1024;
constexpr auto rate_window = 30s;
/// How long to wait for bandwidth, by chance: in a fixed order the first one would find most of it, again and again.
constexpr std::array pacing_steps{6ms, 8ms, 10ms, 12ms, 14ms};
/// A sink that takes nothing for so long is slow, not busy: from then on it gets little at a time.
constexpr auto stall = 200ms;
constexpr std::size_t most_for_slow = 128 * 1024;
/// Who takes that much in that time is fast.
constexpr std::uint64_t proof_bytes = 1024 * 1024;
constexpr auto proof_time = 200ms;
constexpr std::size_t least_for_slow = 16 * 1024;

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

/// RFC 9110 6.5.1: what frames, routes, authenticates or describes the content has no business in a trailer section.
std::string trailer_lines(const http::Fields& trailers) {
    http::h1::Output out;
    for (const auto& field : trailers) {
        if (field.id == http::FieldId::other && !field.dropped) out.append_field(field.name, field.value);
    }
    return std::string{out.text()};
}

/// On one worker. They share the kernel's memory, so each gets less of it.
constexpr std::size_t many_bodies = 64;

/// Counts bodies that have to wait.
class UnderWay {
  public:
    explicit UnderWay(Worker& worker) : worker_(worker) { ++worker_.bodies_under_way; }
    ~UnderWay() { --worker_.bodies_under_way; }
    UnderWay(const UnderWay&) = delete;
    UnderWay& operator=(const UnderWay&) = delete;

  private:
    Worker& worker_;
};

}  // namespace

std::uint64_t ClientSpeed::bytes() const {
    if (plan_.least_rate == 0) return 0;
    return plan_.client_is_source ? *plan_.moved : plan_.sink->connection().acknowledged_bytes();
}

void ClientSpeed::wait_begins(net::TimePoint now) {
    if (began_ == net::TimePoint{}) bytes_before_ = bytes();
    began_ = now;
}

bool ClientSpeed::wait_ends(net::TimePoint now) {
    waited_ += now - began_;
    if (waited_ < rate_window || plan_.least_rate == 0) return true;
    const auto seconds = std::chrono::duration_cast<std::chrono::duration<double>>(waited_).count();
    const auto bytes_now = bytes();
    const auto moved = static_cast<double>(bytes_now - bytes_before_);
    waited_ = {};
    bytes_before_ = bytes_now;
    return moved >= static_cast<double>(plan_.least_rate) * seconds;
}

/// How much may be moved now: all that is wanted, or what the bandwidth limits have left.
std::size_t Relay::allowance(std::size_t wanted) const {
    if (plan_.bandwidth == nullptr || wanted == 0) return wanted;
    return static_cast<std::size_t>(plan_.bandwidth->take(wanted, worker_.now()));
}

void Relay::give_back(std::size_t bytes) const {
    if (plan_.bandwidth != nullptr && bytes != 0) plan_.bandwidth->give_back(bytes);
}

/// What to take from the source at a time: no more than a slow sink has room for, so that little is held for it.
std::size_t Relay::room() const {
    return std::clamp(plan_.sink->connection().unsent_room(), least_for_slow, most_for_slow);
}

bool Relay::can_splice() const {
    if (copies_ || plan_.most_bytes != UINT64_MAX || !plan_.sink->takes_unseen()) return false;
    return plan_.source->unseen() != nullptr && (pipe_ || plan_.source->unseen_bytes() >= least_spliced_bytes);
}

std::optional<RelayEnd> Relay::flush_then_wait_for_source() {
    if (plan_.sink->try_flush() == IoStatus::failed) return RelayEnd::sink_failed;
    return wait_for(plan_.sink->holds() ? Need::sink : Need::source);
}

std::optional<RelayEnd> Relay::pump() {
    auto& source = *plan_.source;
    auto& sink = *plan_.sink;
    copies_ = false;
    for (;;) {
        if (sink.holds()) {
            if (sink.try_flush() == IoStatus::failed) return RelayEnd::sink_failed;
            if (sink.holds()) return wait_for(Need::sink);
        }
        if (!left_over_.empty()) {
            if (!write_left_over()) return RelayEnd::sink_failed;
            if (!left_over_.empty()) return wait_for(Need::sink);
        }
        if (ended_) return RelayEnd::complete;
        if (pipe_ || can_splice()) {
            if (!pipe_) pipe_.emplace(worker_.pipes);
            if (!proven_) limit_unsent();
            if (*pipe_) return splice();
            pipe_.reset();
            copies_ = true;
        }
        const auto wanted = stalled_ ? room() : http::h1::BodyScratch::read_size;
        const auto most = allowance(wanted);
        if (most == 0) {
            // A head that waits for its body's beginning lies in memory that others use meanwhile.
            if (sink.try_flush() == IoStatus::failed) return RelayEnd::sink_failed;
            return wait_for(Need::bandwidth);
        }
        const auto batch = source.try_read(most);
        if (batch.bytes < most) give_back(most - static_cast<std::size_t>(batch.bytes));
        if (batch.status == BodySource::Status::would_block) return flush_then_wait_for_source();
        if (batch.status != BodySource::Status::ok) return end_of(batch.status);
        if (*plan_.moved + batch.bytes > plan_.most_bytes) return RelayEnd::too_large;
        std::string trailers;
        if (batch.ended && plan_.forward_trailers) trailers = trailer_lines(source.trailers());
        const auto taken = sink.try_write(batch, trailers);
        if (taken.status == IoStatus::failed) return RelayEnd::sink_failed;
        // What was not taken comes again, and is allowed again.
        give_back(static_cast<std::size_t>(batch.bytes - taken.bytes));
        ended_ = batch.ended && taken.bytes == batch.bytes && taken.status == IoStatus::ok;
        source.consume(taken.bytes);
        *plan_.moved += taken.bytes;
        if (taken.status == IoStatus::would_block) return wait_for(Need::sink);
    }
}

/// The same through a pipe, until somebody has to be waited for. The pipe is kept while it is full and the sink busy.
std::optional<RelayEnd> Relay::splice() {
    auto& source = *plan_.source;
    auto& pipe = *pipe_;
    auto& out = plan_.sink->connection();
    for (;;) {
        while (pipe.filled != 0) {
            const auto sent = out.splice_from_pipe(pipe->read_end(), pipe.filled);
            if (sent.status == IoStatus::failed) return RelayEnd::sink_failed;
            if (sent.status == IoStatus::would_block) return wait_for(Need::sink);
            pipe.filled -= sent.bytes;
            *plan_.moved += sent.bytes;
        }
        if (source.ended()) {
            pipe_.reset();
            return RelayEnd::complete;
        }
        const auto most = stalled_ || out.unsent_is_limited() ? room() : pipe->capacity();
        const auto wanted = allowance(static_cast<std::size_t>(std::min<std::uint64_t>(most, source.unseen_bytes())));
        if (wanted == 0) {
            pipe_.reset();
            return wait_for(Need::bandwidth);
        }
        const auto in = source.unseen()->splice_to_pipe(pipe->write_end(), wanted);
        give_back(wanted - in.bytes);
        pipe.filled = in.bytes;
        source.skip(in.bytes);
        if (in.status == IoStatus::ok) continue;
        pipe_.reset();
        if (in.status == IoStatus::failed) return RelayEnd::source_reset;
        if (in.status == IoStatus::end) return source.ends_here() ? RelayEnd::complete : RelayEnd::source_truncated;
        return flush_then_wait_for_source();
    }
}

/// False if the sink is gone.
bool Relay::write_left_over() {
    const auto sent = plan_.sink->connection().try_write(left_over_.view());
    left_over_.consume(sent.bytes);
    *plan_.moved += sent.bytes;
    return sent.status != IoStatus::failed;
}

/// Others need the pipe: what is in it is copied out.
void Relay::empty_pipe() {
    if (!pipe_) return;
    auto& bytes = worker_.scratch->bytes;
    while (pipe_->filled != 0) {
        const auto got = ::read((*pipe_)->read_end(), bytes.data(), std::min(bytes.size(), pipe_->filled));
        if (got <= 0) break;  // it is ours alone, and has that much
        left_over_.append({bytes.data(), static_cast<std::size_t>(got)});
        pipe_->filled -= static_cast<std::size_t>(got);
    }
    pipe_.reset();
}

/// The kernel takes megabytes for a client before it says that this takes nothing.
void Relay::limit_unsent() {
    if (plan_.client_is_source || plan_.most_unsent == 0) return;
    auto& out = plan_.sink->connection();
    out.limit_unsent(plan_.most_unsent);
    if (!out.unsent_is_limited()) proven_ = true;  // a unix socket: its buffer is small, and needs no asking again
}

void Relay::begin_proof() {
    proof_began_ = worker_.now();
    proof_from_ = *plan_.moved;
}

/// What is large is limited until its client has shown that it is fast, which costs the fast ones little; where there
/// are many, until there are fewer.
void Relay::judge_sink() {
    auto& out = plan_.sink->connection();
    if (!out.unsent_is_limited()) {
        if (!proven_ && *plan_.moved - proof_from_ >= least_spliced_bytes) limit_unsent();
        return;
    }
    if (*plan_.moved - proof_from_ < proof_bytes) return;
    const bool fast = worker_.now() - proof_began_ <= proof_time;
    begin_proof();
    if (!fast || worker_.bodies_under_way > many_bodies) return;
    stalled_ = false;
    proven_ = true;
    out.lift_unsent_limit();
}

/// A wait for the sink lasts as long as its peer acknowledges something within each limit.
net::Task<net::Ready> Relay::wait_for_sink() {
    if (!stalled_ && plan_.sink_limit->duration() > stall) {
        auto& deadline = plan_.sink->writable().deadline();
        deadline.arm(worker_.deadlines.list(stall));
        const auto soon = co_await plan_.sink->writable().wait(*plan_.scope);
        deadline.disarm();
        if (soon != net::Ready::timed_out) co_return soon;
        stalled_ = true;
        proven_ = false;
        limit_unsent();
    }
    empty_pipe();
    const auto ready = co_await net::wait_writable(plan_.sink->connection(), *plan_.scope, *plan_.sink_limit);
    co_return ready;
}

net::Task<RelayEnd> Relay::run() {
    const UnderWay under_way{worker_};
    begin_proof();
    for (;;) {
        if (!plan_.client_is_source) judge_sink();
        if (need_ == Need::source) {
            auto& readable = plan_.source->readable();
            const bool owes = !source_waits();
            if (owes && plan_.client_is_source) speed_.wait_begins(worker_.now());
            if (owes) readable.deadline().arm(*plan_.source_limit);
            const auto ready = co_await readable.wait(*plan_.scope);
            readable.deadline().disarm();
            if (ready == net::Ready::timed_out) co_return RelayEnd::source_timed_out;
            if (ready == net::Ready::cancelled) co_return RelayEnd::cancelled;
            if (owes && plan_.client_is_source && !speed_.wait_ends(worker_.now())) co_return RelayEnd::too_slow;
        } else if (need_ == Need::sink) {
            if (!plan_.client_is_source) speed_.wait_begins(worker_.now());
            const auto ready = co_await wait_for_sink();
            if (ready == net::Ready::timed_out) co_return RelayEnd::sink_timed_out;
            if (ready == net::Ready::cancelled) co_return RelayEnd::cancelled;
            if (!plan_.client_is_source && !speed_.wait_ends(worker_.now())) co_return RelayEnd::too_slow;
        } else {
            const auto step = pacing_steps[worker_.dice() % pacing_steps.size()];
            net::Pause pause{worker_.reactor, *plan_.scope, worker_.deadlines.list(step)};
            plan_.bandwidth->begin_wait();
            const auto ready = co_await pause;
            plan_.bandwidth->end_wait();
            if (ready == net::Ready::cancelled) co_return RelayEnd::cancelled;
        }
        const auto end = pump();
        if (end) co_return *end;
    }
}

}  // namespace nsboot_lb::forward
