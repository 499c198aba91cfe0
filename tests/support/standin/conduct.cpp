#include "conduct.hpp"

#include <array>
#include <iostream>

namespace nsboot_lb::standin {

void Conduct::begin(std::string_view method, std::string_view target) {
    ++at_once_;
    if (options_.log) std::cout << at_once_ << " at once: " << method << ' ' << target << std::endl;
}

std::chrono::milliseconds Conduct::delay(std::string_view target) const {
    return target == "/health" ? std::chrono::milliseconds{0} : options_.delay;
}

Fault Conduct::draw_fault() {
    static constexpr std::array kinds{Fault::unread, Fault::unanswered, Fault::within_head, Fault::after_answer};
    if (!faulty_ || !std::bernoulli_distribution{options_.faults}(random_)) return Fault::none;
    return kinds[std::uniform_int_distribution<std::size_t>{0, kinds.size() - 1}(random_)];
}

std::chrono::microseconds Conduct::draw_pause() {
    static constexpr int longest_us = 2000;
    return std::chrono::microseconds{std::uniform_int_distribution<int>{0, longest_us}(random_)};
}

}  // namespace nsboot_lb::standin
