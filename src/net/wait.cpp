#include "nsboot_lb/net/wait.hpp"

#include <stdexcept>
#include <utility>

#include "nsboot_lb/net/reactor.hpp"

namespace nsboot_lb::net {

void Wait::suspend(std::coroutine_handle<> coroutine) {
    coroutine_ = coroutine;
    scope_.waits_.push_back(*this);
}

void Wait::wake(Ready result) {
    if (queued() || !in_scope_.is_linked()) return;
    in_scope_.unlink();
    result_ = result;
    reactor_.enqueue(*this, scope_.moves_much());
}

Ready Wait::result() const {
    return scope_.cancelled() ? Ready::cancelled : result_;
}

void Scope::cancel(Cause cause) {
    if (cancelled()) return;
    cause_ = cause;
    while (!waits_.empty()) waits_.front().wake(Ready::cancelled);
    for (auto& scope : inner_) scope.cancel(cause);
}

void Readiness::abandon() {
    deadline_.disarm();
    ready_ = false;
    if (waiter_ == nullptr) return;
    auto& waiter = *std::exchange(waiter_, nullptr);
    waiter.of_ = nullptr;
    waiter.wake(Ready::cancelled);
    waiter.result_ = Ready::cancelled;  // also if it was ready before, and has not had its turn
}

void Readiness::expired(void* self) {
    auto& readiness = *static_cast<Readiness*>(self);
    if (readiness.waiter_ != nullptr) readiness.waiter_->wake(Ready::timed_out);
}

bool Readiness::Awaiter::await_ready() {
    if (scope_.cancelled()) return true;
    if (of_->deadline_.expired()) {
        result_ = Ready::timed_out;
        return true;
    }
    return of_->ready_ && !reactor_.turn_over();
}

void Readiness::Awaiter::await_suspend(std::coroutine_handle<> coroutine) {
    if (of_->waiter_ != nullptr) throw std::logic_error("two coroutines wait for the same direction");
    of_->waiter_ = this;
    const bool only_others_turn = of_->ready_;
    if (only_others_turn) scope_.note_used_up_turn();
    suspend(coroutine);
    if (only_others_turn) wake(Ready::ok);
}

}  // namespace nsboot_lb::net
