/// Random sequences of what happens to a pool, against a model that is as plain as can be: for every policy a pick is
/// one of those that the model allows, and nothing is picked only where the model allows none.
#include <optional>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "pools.hpp"

namespace nsboot_lb::upstream::testing {
namespace {

using config::Policy;

constexpr std::uint32_t max_fails = 2;
constexpr auto fail_timeout = 10s;

constexpr int closed = 4;

struct ModelServer {
    ServerSpec spec;
    AdminState admin = AdminState::up;
    bool active_up = true;
    std::vector<TimePoint> failures;  ///< since it last came in
    std::optional<TimePoint> out_until;
    bool probing = false;
    std::uint32_t in_flight = 0;

    bool open_to_new() const { return admin == AdminState::up && active_up && spec.weight > 0; }
    bool full() const { return spec.max_connections != 0 && in_flight >= spec.max_connections; }
    int tier(TimePoint now) const {
        if (!open_to_new()) return closed;
        const int out = out_until && now < *out_until ? 2 : 0;
        return out + (spec.backup ? 1 : 0);
    }

    void fail(TimePoint now) {
        if (out_until) {
            if (probing || now >= *out_until) out_until = now + fail_timeout;
            probing = false;
            return;
        }
        failures.push_back(now);
        std::erase_if(failures, [&](TimePoint then) { return now - then > fail_timeout; });
        if (failures.size() < max_fails) return;
        failures.clear();
        out_until = now + fail_timeout;
    }
    void succeed() {
        if (probing) readmit();
    }
    void readmit() {
        out_until.reset();
        probing = false;
    }
    void picked(TimePoint now) {
        if (!out_until || now < *out_until) return;
        out_until = now + fail_timeout;
        probing = true;
    }
};

struct Allowed {
    std::set<std::size_t> servers;
    Refusal refusal = Refusal::no_server;
};

Allowed allowed(const std::vector<ModelServer>& model, const std::vector<std::uint16_t>& tried, TimePoint now) {
    Allowed result;
    const auto was_tried = [&](std::size_t i) { return std::ranges::find(tried, i) != tried.end(); };
    int best = closed;
    for (std::size_t i = 0; i < model.size(); ++i) {
        if (model[i].tier(now) < closed) result.refusal = std::max(result.refusal, Refusal::all_tried);
        if (!was_tried(i)) best = std::min(best, model[i].tier(now));
    }
    if (best == closed) return result;
    result.refusal = Refusal::full;
    for (std::size_t i = 0; i < model.size(); ++i)
        if (model[i].tier(now) == best && !was_tried(i) && !model[i].full()) result.servers.insert(i);
    return result;
}

class Simulation {
  public:
    Simulation(Policy policy, std::uint32_t seed) : random_(seed) {
        std::vector<ServerSpec> servers(1 + any(random_() % 8 == 0 ? 40 : 6));
        for (auto& server : servers)
            server = {.weight = any(4), .max_connections = any(3) == 0 ? 1 + any(3) : 0, .backup = any(4) == 0};
        auto config = pool_config(servers);
        config.passive_health = {.max_fails = max_fails, .fail_timeout = fail_timeout};
        config.slow_start = any(2) == 0 ? 0s : 5s;
        pool_.emplace(config);
        for (const auto& server : servers) model_.emplace_back().spec = server;
        // Two workers, whose balancers share nothing but the endpoints' states.
        balancers_ = {pool_->balancer(policy, 0), pool_->balancer(policy, 1)};
    }

    void step() {
        const auto i = any(static_cast<std::uint32_t>(model_.size()));
        auto& server = model_[i];
        auto& state = pool_->state(i);
        switch (any(12)) {
            case 0:
                server.active_up = any(3) != 0;
                if (server.active_up && !state.active_up()) server.readmit();
                state.set_active_health(server.active_up, "test", pool_->now);
                break;
            case 1: {
                const auto before = server.admin;
                server.admin = static_cast<AdminState>(any(3));
                if (before == AdminState::down && server.admin == AdminState::up) server.readmit();
                state.set_admin_state(server.admin, pool_->now);
                break;
            }
            case 2:
                server.spec.weight = any(5);
                state.override_weight(server.spec.weight, pool_->now);
                break;
            case 3:
                server.fail(pool_->now);
                state.report_failure(Failure::reset, pool_->now);
                break;
            case 4:
                server.succeed();
                state.report_success(pool_->now);
                break;
            case 5: pool_->now += std::chrono::milliseconds{any(4000)}; break;
            case 6: end_one(); break;
            default: pick(); break;
        }
    }

  private:
    std::uint32_t any(std::uint32_t below) { return static_cast<std::uint32_t>(random_() % below); }

    void pick() {
        std::vector<std::uint16_t> tried;
        for (auto n = any(4) == 0 ? any(3) : 0; n > 0; --n)
            tried.push_back(static_cast<std::uint16_t>(any(static_cast<std::uint32_t>(model_.size()))));
        auto context = pool_->context();
        const auto path = "/" + std::to_string(any(100));
        context.client = client(any(100));
        context.path = path;
        context.tried = tried;
        auto& balancer = *balancers_[any(2)];
        const auto expected = allowed(model_, tried, pool_->now);
        auto admitted = admit(balancer, *pool_->pool(), context);
        ASSERT_EQ(admitted.has_value(), !expected.servers.empty());
        if (!admitted) {
            ASSERT_EQ(admitted.error(), expected.refusal);
            return;
        }
        ASSERT_TRUE(expected.servers.contains(admitted->endpoint));
        auto& server = model_[admitted->endpoint];
        server.picked(pool_->now);
        ++server.in_flight;
        ASSERT_EQ(pool_->state(admitted->endpoint).in_flight(), server.in_flight);
        slots_.push_back(std::move(*admitted));
    }

    void end_one() {
        if (slots_.empty()) return;
        const auto which = any(static_cast<std::uint32_t>(slots_.size()));
        --model_[slots_[which].endpoint].in_flight;
        slots_.erase(slots_.begin() + which);
    }

    std::mt19937 random_;
    std::optional<TestPool> pool_;
    std::vector<ModelServer> model_;
    std::array<std::unique_ptr<Balancer>, 2> balancers_;
    std::vector<Admitted> slots_;
};

class BalancerProperty : public ::testing::TestWithParam<Policy> {};

TEST_P(BalancerProperty, PicksOnlyWhatTheModelAllows) {
    for (std::uint32_t seed = 0; seed < 40; ++seed) {
        SCOPED_TRACE(seed);
        Simulation simulation(GetParam(), seed);
        for (int i = 0; i < 1500 && !HasFatalFailure(); ++i) simulation.step();
        if (HasFatalFailure()) return;
    }
}

INSTANTIATE_TEST_SUITE_P(Policies, BalancerProperty, ::testing::ValuesIn(every_policy), [](const auto& info) {
    std::string name{config::to_string(info.param)};
    std::ranges::replace(name, '-', '_');
    return name;
});

}  // namespace
}  // namespace nsboot_lb::upstream::testing
