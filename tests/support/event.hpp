#pragma once
/// Something that happens once and that another thread waits for, with a value to hand over. A copyable handle: copies
/// share the event, so a script on an origin's thread may outlive the test that wrote it. Any thread may call it.
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <variant>

#include "wire.hpp"

namespace nsboot_lb::test {

template <typename Value = std::monostate>
class Event {
  public:
    void set(Value value = {}) const {
        const std::lock_guard lock{state_->mutex};
        state_->value = std::move(value);
        state_->changed.notify_all();
    }
    /// The value, as soon as there is one; throws Failure when it takes longer than `patience`.
    Value wait() const {
        std::unique_lock lock{state_->mutex};
        if (!state_->changed.wait_for(lock, patience, [&] { return state_->value.has_value(); })) {
            throw Failure("gave up waiting for an event");
        }
        return *state_->value;
    }
    /// Whether it happens within `time`.
    bool happens_within(std::chrono::milliseconds time) const {
        std::unique_lock lock{state_->mutex};
        return state_->changed.wait_for(lock, time, [&] { return state_->value.has_value(); });
    }

  private:
    struct State {
        std::mutex mutex;
        std::condition_variable changed;
        std::optional<Value> value;
    };
    std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace nsboot_lb::test
