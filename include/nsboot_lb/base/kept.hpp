#pragma once
/// What outlives a configuration: things that are found again under their names for as long as anything uses them, and
/// are forgotten after that. Not locked: for one thread at a time.
#include <algorithm>
#include <cstddef>
#include <memory>
#include <unordered_map>
#include <utility>

namespace nsboot_lb::base {

template <class Name, class T>
class Kept {
  public:
    /// What goes by that name; what `make` gives (a shared_ptr) if nothing does.
    template <class Make>
    std::shared_ptr<T> get(const Name& name, Make make) {
        if (known_.size() >= sweep_at_) sweep();
        auto& known = known_[name];
        auto kept = known.lock();
        if (!kept) known = kept = make();
        return kept;
    }
    /// For each that is used.
    template <class Do>
    void for_each(Do act) const {
        for (const auto& [name, known] : known_)
            if (const auto kept = known.lock()) act(*kept);
    }

  private:
    void sweep() {
        std::erase_if(known_, [](const auto& known) { return known.second.expired(); });
        sweep_at_ = std::max(least_sweep, known_.size() * 2);
    }

    static constexpr std::size_t least_sweep = 64;
    std::unordered_map<Name, std::weak_ptr<T>> known_;
    std::size_t sweep_at_ = least_sweep;  ///< size at which names that nothing goes by any more are thrown out
};

}  // namespace nsboot_lb::base
