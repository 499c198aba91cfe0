#pragma once
/// How a stand-in behaves besides answering: it can say what arrives, take its time, and break connections at random,
/// for tests of what a load balancer makes of that. Everything happens on the server's one thread; owned by Server.
#include <chrono>
#include <cstdint>
#include <random>
#include <string_view>

namespace nsboot_lb::standin {

enum class Fault : std::uint8_t {
    none,
    unread,       ///< resets the connection when a request has arrived, without reading it
    unanswered,   ///< reads the request and resets
    within_head,  ///< resets in the middle of the response's head
    after_answer  ///< answers whole, says nothing of closing, and resets the idle connection a little later
};

class Conduct {
  public:
    struct Options {
        bool log = false;                    ///< a line on standard output for each request that arrives
        std::chrono::milliseconds delay{0};  ///< before each answer but those of /health
        double faults = 0;                   ///< the share of exchanges that end in a fault, once faults are on
        std::uint32_t seed = 1;              ///< of what is random
    };

    explicit Conduct(const Options& options) : options_(options), random_(options.seed) {}

    /// A whole request arrived; end() when it was answered or given up. Writes a line "2 at once: GET /path" with how
    /// many are there now, before anything else is done with it, so that a test that kills the server still has it.
    void begin(std::string_view method, std::string_view target);
    void end() { --at_once_; }

    /// How long to wait before answering a request for `target`.
    std::chrono::milliseconds delay(std::string_view target) const;
    /// What becomes of the next exchange.
    Fault draw_fault();
    void toggle_faults() { faulty_ = !faulty_; }
    /// How long a connection stays idle before Fault::after_answer breaks it.
    std::chrono::microseconds draw_pause();

  private:
    const Options options_;
    std::mt19937 random_;
    int at_once_ = 0;
    bool faulty_ = false;
};

}  // namespace nsboot_lb::standin
