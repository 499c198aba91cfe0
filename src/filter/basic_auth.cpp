#include <atomic>
#include <utility>

#include <boost/asio/post.hpp>

#include "make.hpp"
#include "nsboot_lb/base/basic_credentials.hpp"
#include "nsboot_lb/base/htpasswd.hpp"
#include "nsboot_lb/forward/worker.hpp"

namespace nsboot_lb::filter {

namespace {

using base::BasicCredentials;
using forward::Answer;
using forward::Exchange;
using forward::Worker;

/// Passwords that wait to be checked, over all workers. A check costs what the hash was made to cost, so a flood of
/// wrong ones must not grow a queue that those with right ones stand in for minutes.
constexpr unsigned most_waiting = 64;

/// What a check that is under way needs, kept alive by it: the background thread touches nothing of the exchange.
struct Users {
    explicit Users(base::Htpasswd read) : passwords(std::move(read)) {}
    const base::Htpasswd passwords;
    std::atomic<unsigned> waiting{0};
};

std::optional<BasicCredentials> credentials_of(const Exchange& exchange) {
    const auto* field = exchange.request.find(http::FieldId::authorization);
    return field == nullptr ? std::nullopt : base::parse_basic_credentials(field->value);
}

/// Whether a password is right, found out on the background threads. Lives in the coroutine that waits.
class Check {
  public:
    Check(Worker& worker, std::shared_ptr<Users> users, BasicCredentials credentials)
        : worker_(worker), answer_(std::make_shared<Answered>(worker.reactor)) {
        auto work = [&reactor = worker.reactor, answer = answer_, users = std::move(users),
                     credentials = std::move(credentials)] {
            const bool right = users->passwords.verify(credentials.user, credentials.password);
            users->waiting.fetch_sub(1, std::memory_order_relaxed);
            reactor.post([answer, right] {
                answer->right = right;
                answer->there.set();
            });
        };
        boost::asio::post(*worker_.background, std::move(work));
    }

    net::Task<bool> wait(net::Scope& scope) {
        const auto ready = co_await answer_->there.wait(scope);
        co_return ready == net::Ready::ok && answer_->right;
    }

  private:
    /// Touched on the worker; outlives the wait while the answer is on its way.
    struct Answered {
        explicit Answered(net::Reactor& reactor) : there(reactor) {}
        net::Readiness there;
        bool right = false;
    };
    Worker& worker_;
    std::shared_ptr<Answered> answer_;
};

class BasicAuth final : public forward::Filter {
  public:
    BasicAuth(std::string_view realm, base::Htpasswd passwords)
        : realm_(realm),
          challenge_("Basic realm=\"" + std::string(realm) + "\", charset=\"UTF-8\""),
          users_(std::make_shared<Users>(std::move(passwords))) {}

    std::string describe() const override { return "basic_auth realm \"" + realm_ + "\""; }

    forward::RequestVerdict on_request(Exchange& exchange) const override {
        const auto credentials = credentials_of(exchange);
        if (!credentials) return challenge();
        if (!users_->passwords.remembers(credentials->user, credentials->password)) return forward::Later{};
        admit(exchange);
        return {};
    }

    net::Task<std::optional<Answer>> on_request_later(Worker& worker, Exchange& exchange) const override {
        auto credentials = credentials_of(exchange);
        if (!credentials) co_return challenge();
        if (users_->waiting.fetch_add(1, std::memory_order_relaxed) >= most_waiting) {
            users_->waiting.fetch_sub(1, std::memory_order_relaxed);
            co_return forward::error_answer(503, observe::Reason::queue_full);
        }
        Check check{worker, users_, std::move(*credentials)};
        const bool right = co_await check.wait(*exchange.scope);
        if (!right) co_return challenge();
        admit(exchange);
        co_return std::nullopt;
    }

  private:
    Answer challenge() const {
        auto answer = forward::error_answer(401, observe::Reason::unauthorized);
        answer.fields.emplace_back("WWW-Authenticate", challenge_);  // RFC 7617 2, 2.1
        return answer;
    }

    /// The password was for us; the server does not get to see it.
    static void admit(Exchange& exchange) {
        for (auto& field : exchange.request.fields) {
            if (field.id == http::FieldId::authorization) field.dropped = true;
        }
    }

    const std::string realm_;  ///< as it may stand in quotes
    const std::string challenge_;
    const std::shared_ptr<Users> users_;
};

/// RFC 9110 5.6.4: what may not stand in a quoted string as it is.
std::string quotable(std::string_view realm) {
    std::string out;
    for (const char c : realm) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

}  // namespace

MadeFilter make_basic_auth(const config::BasicAuth& auth) {
    auto passwords = base::Htpasswd::load(auth.file);
    if (!passwords) return std::unexpected(std::move(passwords.error()));
    return std::make_unique<BasicAuth>(quotable(auth.realm), std::move(*passwords));
}

}  // namespace nsboot_lb::filter
