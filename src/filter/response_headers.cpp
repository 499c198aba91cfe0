#include <utility>

#include "field_changes.hpp"
#include "make.hpp"

namespace nsboot_lb::filter {

namespace {

class ResponseHeaders final : public forward::Filter {
  public:
    ResponseHeaders(FieldChanges changes, std::string description)
        : changes_(std::move(changes)), description_(std::move(description)) {}

    std::string describe() const override { return "response_headers " + description_; }

    std::optional<forward::Answer> on_response(forward::Exchange& exchange, http::ResponseHead& head) const override {
        changes_.drop(head.fields);
        changes_.append_to(exchange.response_additions, exchange);
        exchange.settled_response_fields |= changes_.settled();
        return std::nullopt;
    }

  private:
    const FieldChanges changes_;
    const std::string description_;
};

class AnswerHeaders final : public forward::Filter {
  public:
    AnswerHeaders(FieldChanges changes, std::string description)
        : changes_(std::move(changes)), description_(std::move(description)) {}

    std::string describe() const override { return "response_headers " + description_; }

    forward::RequestVerdict on_request(forward::Exchange& exchange) const override {
        changes_.append_to(exchange.response_additions, exchange);
        exchange.settled_response_fields |= changes_.settled();
        return {};
    }

  private:
    const FieldChanges changes_;
    const std::string description_;
};

template <class Kind>
MadeFilter make(const config::HeaderChanges& changes) {
    auto compiled = FieldChanges::compile(changes);
    if (!compiled) return std::unexpected("response_headers: " + compiled.error());
    return std::make_unique<Kind>(std::move(*compiled), describe(changes));
}

}  // namespace

MadeFilter make_response_headers(const config::HeaderChanges& changes) {
    return make<ResponseHeaders>(changes);
}

MadeFilter make_answer_headers(const config::HeaderChanges& changes) {
    return make<AnswerHeaders>(changes);
}

}  // namespace nsboot_lb::filter
