#include "nsboot_lb/forward/worker.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <sys/random.h>

namespace nsboot_lb::forward {

namespace {

/// Worker `index`'s share of `total` among `count` workers, so that all shares together are `total`.
std::size_t share_of(std::size_t total, unsigned index, unsigned count) {
    return total / count + (index < total % count ? 1 : 0);
}

PoolView view_of(Worker& worker, const std::shared_ptr<const upstream::Pool>& pool) {
    PoolView view;
    view.pool = pool;
    const auto& keepalive = pool->config().keepalive;
    view.most_idle = share_of(keepalive.max_idle, worker.index, worker.worker_count);
    view.idle_timeout = &worker.deadlines.list(keepalive.idle_timeout);
    view.counters = &pool->counters()->at(worker.index);
    for (const auto& endpoint : pool->endpoints()) {
        EndpointView mine;
        mine.counters = &endpoint.counters->at(worker.index);
        mine.idle = worker.keepalive.list(endpoint.id());
        mine.idle->count_in(mine.counters);
        view.endpoints.push_back(mine);
    }
    return view;
}

RouteView view_of(Worker& worker, const RouteEntry& entry, std::vector<PoolView>& pools) {
    RouteView view;
    view.entry = &entry;
    view.counters = &entry.counters->at(worker.index);
    if (entry.action != RouteEntry::Action::forward) return view;
    view.pool = &pools[entry.pool];
    auto& balancer = view.pool->balancers[entry.policy];
    if (!balancer) {
        balancer = upstream::make_balancer(entry.policy, view.pool->pool, worker.index);
    }
    view.balancer = balancer.get();
    view.connect = &worker.deadlines.list(entry.timeouts.connect);
    view.response = &worker.deadlines.list(entry.timeouts.response);
    view.idle = &worker.deadlines.list(entry.timeouts.idle);
    view.tunnel_idle = &worker.deadlines.list(entry.timeouts.tunnel_idle);
    view.queue = &worker.deadlines.list(entry.timeouts.queue);
    return view;
}

/// 32 bits as eight hexadecimal digits, all made at once: each nibble in a byte of its own, then what lies between it
/// and its digit added.
std::uint64_t eight_digits(std::uint64_t bits) {
    bits = (bits | bits << 16) & 0x0000ffff0000ffff;
    bits = (bits | bits << 8) & 0x00ff00ff00ff00ff;
    bits = (bits | bits << 4) & 0x0f0f0f0f0f0f0f0f;
    const auto letters = ((bits + 0x0606060606060606) >> 4) & 0x0101010101010101;
    return bits + letters * ('a' - '0' - 10) + 0x3030303030303030;
}

}  // namespace

WorkerView::WorkerView(Worker& worker, std::shared_ptr<const Snapshot> compiled) : snapshot(std::move(compiled)) {
    for (const auto& pool : snapshot->pools) pools.push_back(view_of(worker, pool));
    for (const auto& entry : snapshot->routes) routes.push_back(view_of(worker, entry, pools));
    no_route.entry = &snapshot->no_route;
    no_route.counters = &snapshot->no_route.counters->at(worker.index);
    const auto& timeouts = snapshot->config->timeouts;
    header_timeout = &worker.deadlines.list(timeouts.header);
    idle_timeout = &worker.deadlines.list(timeouts.idle);
    body_timeout = &worker.deadlines.list(timeouts.body);
    send_timeout = &worker.deadlines.list(timeouts.send);
    handshake_timeout = &worker.deadlines.list(timeouts.handshake);
    if (timeouts.half_closed.count() != 0) half_closed = &worker.deadlines.list(timeouts.half_closed);
}

TunnelView::TunnelView(const RouteView& began_with) : pool(began_with.pool->pool) {
    entry.name = began_with.entry->name;
    entry.counters = began_with.entry->counters;
    route.entry = &entry;
    route.counters = began_with.counters;
}

RequestIds::RequestIds() {
    std::array<std::uint64_t, 2> seed{};
    if (getrandom(seed.data(), sizeof seed, 0) != static_cast<ssize_t>(sizeof seed)) {
        // Early in boot, or forbidden: the clock and an address still tell two workers apart.
        seed[0] = static_cast<std::uint64_t>(net::Clock::now().time_since_epoch().count());
        seed[1] = reinterpret_cast<std::uintptr_t>(this);
    }
    low_ = seed[0] | 1;  // never all zero
    high_ = seed[1];
}

std::uint64_t RequestIds::draw() {
    auto x = low_;
    const auto y = high_;
    low_ = y;
    x ^= x << 23;
    high_ = x ^ y ^ (x >> 17) ^ (y >> 26);
    return high_ + y;
}

void RequestIds::next(std::array<char, 32>& id) {
    for (std::size_t half = 0; half < id.size(); half += 16) {
        const auto bits = draw();
        const std::array digits{eight_digits(bits & 0xffffffff), eight_digits(bits >> 32)};
        std::memcpy(id.data() + half, digits.data(), sizeof digits);
    }
}

std::string_view DateText::at(std::chrono::system_clock::time_point now) {
    const auto second = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
    if (second != second_) {
        second_ = second;
        const auto time = static_cast<std::time_t>(second);
        std::tm utc{};
        gmtime_r(&time, &utc);
        std::array<char, 64> text{};
        std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &utc);
        std::memcpy(text_.data(), text.data(), text_.size());
    }
    return {text_.data(), text_.size()};
}

Worker::Worker(unsigned number, unsigned of, boost::asio::io_context& io, observe::Statistics& statistics,
               std::string instance)
    : index(number),
      worker_count(of),
      pseudonym(std::move(instance)),
      counters(statistics.worker(number)),
      reactor(io, deadlines),
      scratch(std::make_unique<http::h1::BodyScratch>()),
      access_log_flush(
          [](void* self) {
              auto& worker = *static_cast<Worker*>(self);
              if (worker.access_log) worker.access_log->flush();
          },
          this) {}

std::chrono::system_clock::time_point Worker::wall_now() {
    const auto steady = now();
    // The wall clock may be set; looking at it once a second is enough to follow.
    if (steady - wall_read_ > std::chrono::seconds{1} || wall_read_ == net::TimePoint{}) {
        const auto age = net::Clock::now() - steady;
        wall_ = std::chrono::system_clock::now() - std::chrono::duration_cast<std::chrono::system_clock::duration>(age);
        wall_read_ = steady;
    }
    return wall_ + std::chrono::duration_cast<std::chrono::system_clock::duration>(steady - wall_read_);
}

std::unique_ptr<Exchange> Worker::take_exchange() {
    if (spare_exchanges_.empty()) return std::make_unique<Exchange>();
    auto exchange = std::move(spare_exchanges_.back());
    spare_exchanges_.pop_back();
    return exchange;
}

void Worker::give_exchange(std::unique_ptr<Exchange> exchange) {
    if (spare_exchanges_.size() >= most_spare_exchanges) return;
    exchange->clear();
    spare_exchanges_.push_back(std::move(exchange));
}

}  // namespace nsboot_lb::forward
