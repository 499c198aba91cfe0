#pragma once
/// Counts in a gauge as long as it lives, however that ends.
#include "nsboot_lb/observe/statistics.hpp"

namespace nsboot_lb::forward {

class Gauged {
  public:
    explicit Gauged(observe::Gauge& gauge) : gauge_(gauge) { gauge_.add(); }
    ~Gauged() { gauge_.sub(); }
    Gauged(const Gauged&) = delete;
    Gauged& operator=(const Gauged&) = delete;

  private:
    observe::Gauge& gauge_;
};

}  // namespace nsboot_lb::forward
