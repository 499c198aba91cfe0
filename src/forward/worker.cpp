#include "nsboot_lb/forward/worker.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <sys/random.h>
#include <unordered_map>

#include <boost/asio/post.hpp>

namespace nsboot_lb::forward {

namespace {

/// Worker `index`'s share of `total` among `count` workers. At least one where there are any: a worker without would
/// connect anew for each request.
std::size_t share_of(std::size_t total, unsigned index, unsigned count) {
    if (total == 0) return 0;
    return std::max<std::size_t>(total / count + (index < total % count ? 1 : 0), 1);
}

PoolViewPtr view_of(Worker& worker, const std::shared_ptr<const upstream::Pool>& pool, const PoolViewPtr& before) {
    if (before && before->pool == pool) return before;
    const PoolViewPtr view{new PoolView};
    view->pool = pool;
    const auto& keepalive = pool->config().keepalive;
    view->most_idle = share_of(keepalive.max_idle, worker.index, worker.worker_count);
    view->idle_timeout = &worker.deadlines.list(keepalive.idle_timeout);
    view->counters = &pool->counters()->at(worker.index);
    view->endpoints.reserve(pool->endpoints().size());
    for (const auto& endpoint : pool->endpoints()) {
        auto& mine = view->endpoints.emplace_back();
        mine.counters = &endpoint.counters->at(worker.index);
        mine.idle = worker.keepalive.list(endpoint.id());
        mine.idle->count_in(mine.counters);
    }
    return view;
}

/// The view's balancer for a policy, which goes on where that of before stands.
upstream::Balancer* balancer_of(PoolView& view, config::Policy policy, const PoolView* before, unsigned worker) {
    auto& balancer = view.balancers[policy];
    if (balancer) return balancer.get();
    balancer = upstream::make_balancer(policy, view.pool, worker);
    if (before == nullptr) return balancer.get();
    const auto earlier = before->balancers.find(policy);
    if (earlier != before->balancers.end()) balancer->go_on_from(*earlier->second);
    return balancer.get();
}

/// Where the view has the exchange's route; null if it has it no more.
const RouteView* same_route(const WorkerView& view, const Exchange& exchange) {
    const auto& before = exchange.view->routes;
    const auto index = static_cast<std::size_t>(exchange.route - before.data());
    if (view.snapshot->routes == exchange.view->snapshot->routes) return &view.routes[index];
    const auto found = std::ranges::find_if(
        view.routes, [&](const RouteView& route) { return route.entry->name == exchange.route->entry->name; });
    return found != view.routes.end() ? &*found : nullptr;
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

/// The pool views of before, to be found by what they are views of.
class ViewInMaking::Before {
  public:
    explicit Before(WorkerViewPtr view) : view_(std::move(view)) {}

    /// Of an earlier pool of that state, or of this very one. `index` is where it mostly is.
    PoolViewPtr find(const upstream::Pool& pool, std::size_t index) {
        if (view_ == nullptr) return nullptr;
        const auto& all = view_->pools;
        if (index < all.size() && &all[index]->pool->state() == &pool.state()) return all[index];
        if (by_state_.empty())
            for (const auto& view : all) by_state_.emplace(&view->pool->state(), view);
        const auto found = by_state_.find(&pool.state());
        return found != by_state_.end() ? found->second : nullptr;
    }

  private:
    const WorkerViewPtr view_;
    std::unordered_map<const upstream::PoolState*, PoolViewPtr> by_state_;
};

/// Most routes have the same time limits as the one before them, and a look costs more than a comparison.
class ViewInMaking::Limits {
    class List {
      public:
        explicit List(net::Deadlines& all) : all_(all) {}
        net::DeadlineList* of(std::chrono::milliseconds limit) {
            if (last_ == nullptr || last_->duration() != limit) last_ = &all_.list(limit);
            return last_;
        }

      private:
        net::Deadlines& all_;
        net::DeadlineList* last_ = nullptr;
    };

  public:
    explicit Limits(net::Deadlines& all) : connect(all), response(all), idle(all), tunnel_idle(all), queue(all) {}
    List connect, response, idle, tunnel_idle, queue;
};

ViewInMaking::ViewInMaking(Worker& worker, std::shared_ptr<const Snapshot> snapshot)
    : worker_(worker),
      view_(new WorkerView{worker, std::move(snapshot)}),
      before_(std::make_unique<Before>(worker.view)),
      limits_(std::make_unique<Limits>(worker.deadlines)) {
    view_->pools.reserve(view_->snapshot->pools.size());
    view_->routes.reserve(view_->snapshot->routes->entries.size());
    pools_before_.reserve(view_->snapshot->pools.size());
}

ViewInMaking::~ViewInMaking() = default;

void ViewInMaking::make_pool() {
    const auto index = view_->pools.size();
    const auto& pool = view_->snapshot->pools[index];
    pools_before_.push_back(before_->find(*pool, index));
    view_->pools.push_back(view_of(worker_, pool, pools_before_.back()));
}

void ViewInMaking::make_route() {
    const auto& entry = view_->snapshot->routes->entries[view_->routes.size()];
    auto& route = view_->routes.emplace_back();
    route.entry = &entry;
    route.counters = &entry.counters->at(worker_.index);
    if (entry.action != RouteEntry::Action::forward) return;
    route.pool = view_->pools[entry.pool].get();
    route.balancer = balancer_of(*route.pool, entry.policy, pools_before_[entry.pool].get(), worker_.index);
    route.connect = limits_->connect.of(entry.timeouts.connect);
    route.response = limits_->response.of(entry.timeouts.response);
    route.idle = limits_->idle.of(entry.timeouts.idle);
    route.tunnel_idle = limits_->tunnel_idle.of(entry.timeouts.tunnel_idle);
    route.queue = limits_->queue.of(entry.timeouts.queue);
}

WorkerViewPtr ViewInMaking::advance(net::TimePoint until) {
    constexpr unsigned made_per_look = 64;
    for (unsigned made = 1;; ++made) {
        if (view_->pools.size() < view_->snapshot->pools.size())
            make_pool();
        else if (view_->routes.size() < view_->snapshot->routes->entries.size())
            make_route();
        else
            return view_;
        if (made % made_per_look == 0 && net::Clock::now() >= until) return nullptr;
    }
}

WorkerViewPtr make_view(Worker& worker, std::shared_ptr<const Snapshot> snapshot) {
    return ViewInMaking{worker, std::move(snapshot)}.advance(net::TimePoint::max());
}

WorkerView::WorkerView(Worker& worker, std::shared_ptr<const Snapshot> compiled)
    : snapshot(std::move(compiled)), number(++worker.views_made), background_(worker.background) {
    no_route.entry = &snapshot->routes->none;
    no_route.counters = &no_route.entry->counters->at(worker.index);
    const auto& timeouts = snapshot->config->timeouts;
    header_timeout = &worker.deadlines.list(timeouts.header);
    idle_timeout = &worker.deadlines.list(timeouts.idle);
    body_timeout = &worker.deadlines.list(timeouts.body);
    send_timeout = &worker.deadlines.list(timeouts.send);
    handshake_timeout = &worker.deadlines.list(timeouts.handshake);
    if (timeouts.half_closed.count() != 0) half_closed = &worker.deadlines.list(timeouts.half_closed);
}

WorkerView::~WorkerView() {
    if (background_ == nullptr) return;
    pools.clear();  // whose pools the snapshot has as well
    boost::asio::post(*background_, [last = std::move(snapshot)] {});
}

bool go_on_with_current_view(const Worker& worker, Exchange& exchange) {
    const auto& then = *exchange.route->pool->pool;
    const auto* const route = same_route(*worker.view, exchange);
    if (route == nullptr || route->pool == nullptr || &route->pool->pool->state() != &then.state()) return false;
    const auto translate = [&](std::vector<std::uint16_t>& indices) {
        std::vector<std::uint16_t> still_there;
        for (const auto index : indices) {
            const auto now = route->pool->pool->index_of(*then.endpoint(index).state);
            if (now) still_there.push_back(static_cast<std::uint16_t>(*now));
        }
        indices = std::move(still_there);
    };
    translate(exchange.tried);
    translate(exchange.unreachable);
    exchange.server = {};  // a view of what goes with the old one
    exchange.route = route;
    exchange.view = worker.view;
    return true;
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
      dice(number + 1),
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
