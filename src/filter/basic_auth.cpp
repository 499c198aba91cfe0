#include <utility>

#include "make.hpp"
#include "nsboot_lb/base/basic_credentials.hpp"
#include "nsboot_lb/base/htpasswd.hpp"
#include "nsboot_lb/filter/password_checks.hpp"
#include "nsboot_lb/forward/worker.hpp"

namespace nsboot_lb::filter {

namespace {

using base::BasicCredentials;
using forward::Answer;
using forward::Exchange;
using forward::Worker;

std::optional<BasicCredentials> credentials_of(const Exchange& exchange) {
    const auto* field = exchange.request.find(http::FieldId::authorization);
    return field == nullptr ? std::nullopt : base::parse_basic_credentials(field->value);
}

class BasicAuth final : public forward::Filter {
  public:
    BasicAuth(std::string_view realm, std::shared_ptr<const base::Htpasswd> users, PasswordChecks& checks)
        : realm_(realm),
          challenge_("Basic realm=\"" + std::string(realm) + "\", charset=\"UTF-8\""),
          users_(std::move(users)),
          checks_(checks) {}

    std::string describe() const override { return "basic_auth realm \"" + realm_ + "\""; }

    forward::RequestVerdict on_request(Exchange& exchange) const override {
        const auto credentials = credentials_of(exchange);
        if (!credentials) return challenge();
        if (!users_->remembers(credentials->user, credentials->password)) return forward::Later{};
        admit(exchange);
        return {};
    }

    net::Task<std::optional<Answer>> on_request_later(Worker& worker, Exchange& exchange) const override {
        auto credentials = credentials_of(exchange);
        if (!credentials) co_return challenge();
        PasswordChecks::Check check{checks_, worker.reactor, exchange.client_address, users_, std::move(*credentials)};
        const auto verdict = co_await check.wait(*exchange.scope);
        switch (verdict) {
            case PasswordChecks::Verdict::right: break;
            case PasswordChecks::Verdict::wrong: co_return challenge();
            case PasswordChecks::Verdict::refused: co_return forward::error_answer(503, observe::Reason::queue_full);
            case PasswordChecks::Verdict::dropped: co_return forward::error_answer(503, observe::Reason::shutting_down);
        }
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
    const std::shared_ptr<const base::Htpasswd> users_;
    PasswordChecks& checks_;
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

MadeFilter make_basic_auth(const config::BasicAuth& auth, const Surroundings& surroundings) {
    auto users = surroundings.passwords(auth.file);
    if (!users) return std::unexpected(std::move(users.error()));
    return std::make_unique<BasicAuth>(quotable(auth.realm), std::move(*users), surroundings.checks);
}

}  // namespace nsboot_lb::filter
