#pragma once
/// A bounded queue in which clients have turns: one entry of each, round and round, so that nobody waits for all that
/// somebody else has put in. Not locked.
#include <algorithm>
#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <utility>

namespace nsboot_lb::filter {

template <class Client, class Entry>
class FairQueue {
  public:
    FairQueue(std::size_t most, std::size_t most_per_client) : most_(most), most_per_client_(most_per_client) {}

    struct Entered {
        bool successful = false;
        std::optional<Entry> displaced{};  ///< who lost its place to the newcomer
    };
    /// A full queue has room for a newcomer at the expense of the last in the longest line, if its own is shorter.
    Entered enter(const Client& client, Entry entry) {
        const auto line = lines_.find(client);
        const auto own = line != lines_.end() ? line->second.size() : 0;
        if (own >= most_per_client_) return {};
        Entered entered{.successful = true};
        if (size_ >= most_) {
            entered.displaced = last_of_longest(own + 1);
            if (!entered.displaced) return {};
        }
        auto& mine = lines_[client];
        if (mine.empty()) turns_.push_back(client);
        mine.push_back(std::move(entry));
        ++size_;
        return entered;
    }

    /// The first of the client whose turn it is. There must be one.
    Entry take() {
        const auto client = turns_.front();
        auto entry = lines_.find(client)->second.front();
        turns_.splice(turns_.end(), turns_, turns_.begin());
        leave(client, entry);
        return entry;
    }

    /// If it is in the queue.
    void leave(const Client& client, const Entry& entry) {
        const auto line = lines_.find(client);
        if (line == lines_.end() || std::erase(line->second, entry) == 0) return;
        --size_;
        if (!line->second.empty()) return;
        turns_.remove(client);
        lines_.erase(line);
    }

    bool empty() const { return size_ == 0; }

  private:
    std::optional<Entry> last_of_longest(std::size_t longer_than) {
        const auto longest =
            std::ranges::max_element(lines_, std::less{}, [](const auto& line) { return line.second.size(); });
        if (longest == lines_.end() || longest->second.size() <= longer_than) return std::nullopt;
        const auto last = longest->second.back();
        leave(Client{longest->first}, last);
        return last;
    }

    const std::size_t most_;
    const std::size_t most_per_client_;
    std::map<Client, std::deque<Entry>> lines_;  ///< none is empty
    std::list<Client> turns_;                    ///< of the lines, who is next first
    std::size_t size_ = 0;
};

}  // namespace nsboot_lb::filter
