#include "notes.hpp"

#include "nsboot_lb/forward/exchange.hpp"
#include "nsboot_lb/forward/filter.hpp"

namespace nsboot_lb::forward {

void Notes::before(const Exchange& exchange) {
    dropped_.clear();
    for (const auto& field : exchange.request.fields) dropped_.push_back(field.dropped);
    request_additions_ = exchange.request_additions.size();
    response_additions_ = exchange.response_additions.size();
    target_ = exchange.rewritten_target;
    host_ = exchange.host_text;
}

void Notes::after(const Filter& filter, const Exchange& exchange, bool answers) {
    FilterNote note{.filter = filter.describe(), .effects = {}, .answers = answers};
    const auto& fields = exchange.request.fields;
    for (std::size_t i = 0; i < dropped_.size(); ++i)
        if (fields[i].dropped && !dropped_[i]) note.effects.push_back("takes " + std::string(fields[i].name) + " away");
    for (auto i = request_additions_; i < exchange.request_additions.size(); ++i) {
        const auto& [name, value] = exchange.request_additions[i];
        note.effects.push_back("adds " + name + ": " + value);
    }
    for (auto i = response_additions_; i < exchange.response_additions.size(); ++i) {
        const auto& [name, value] = exchange.response_additions[i];
        note.effects.push_back("adds " + name + ": " + value + " to the response");
    }
    if (exchange.rewritten_target != target_) note.effects.push_back("asks for " + exchange.rewritten_target);
    if (exchange.host_text != host_) note.effects.push_back("sets Host: " + exchange.host_text);
    filters_.push_back(std::move(note));
}

}  // namespace nsboot_lb::forward
