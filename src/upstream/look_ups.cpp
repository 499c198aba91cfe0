#include "look_ups.hpp"

#include <cstdint>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>

namespace nsboot_lb::upstream {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

base::IpAddress to_address(const asio::ip::address& address) {
    if (address.is_v4()) return base::IpAddress::from_v4(address.to_v4().to_uint());
    return base::IpAddress::from_v6(address.to_v6().to_bytes());
}

/// Waits for the system's resolver. On a thread of its own, so nothing is thrown.
Answer look_up(const std::string& host) try {
    asio::io_context loop;
    asio::ip::tcp::resolver resolver{loop};
    error_code error;
    const auto results = resolver.resolve(host, "", error);
    if (error) return std::unexpected(error.message());
    std::vector<base::IpAddress> addresses;
    for (const auto& result : results) addresses.push_back(to_address(result.endpoint().address()));
    return addresses;
} catch (const std::exception& failure) {
    return std::unexpected(failure.what());
}

/// Where a thread leaves its answer, as long as somebody takes it.
struct Outlet {
    std::mutex mutex;
    asio::io_context* loop = nullptr;
};

}  // namespace

class LookUps::Core : public std::enable_shared_from_this<Core> {
  public:
    explicit Core(asio::io_context& loop) : loop_(loop) { outlet_->loop = &loop; }

    std::uint64_t start(const std::string& host, Done done) {
        if (!work_) work_.emplace(loop_.get_executor());
        const auto number = next_++;
        waiting_.emplace(number, std::move(done));
        queue_.emplace_back(number, host);
        run_more();
        return number;
    }
    void cancel(std::uint64_t number) {
        std::erase_if(queue_, [&](const auto& queued) { return queued.first == number; });
        waiting_.erase(number);
        if (waiting_.empty()) work_.reset();
    }
    void stop() {
        {
            const std::lock_guard lock(outlet_->mutex);
            outlet_->loop = nullptr;
        }
        queue_.clear();
        waiting_.clear();
        work_.reset();
    }

  private:
    void run_more() {
        while (running_ < most_at_once && !queue_.empty()) {
            auto [number, host] = std::move(queue_.front());
            queue_.pop_front();
            ++running_;
            try {
                std::thread{[number, host, outlet = outlet_, core = weak_from_this()] {
                    auto answer = look_up(host);
                    const std::lock_guard lock(outlet->mutex);
                    if (outlet->loop == nullptr) return;
                    asio::post(*outlet->loop, [number, core, answer = std::move(answer)] {
                        if (const auto self = core.lock()) self->answered(number, answer);
                    });
                }}.detach();
            } catch (const std::system_error& no_thread) {
                asio::post(loop_, [number, self = shared_from_this(), why = std::string{no_thread.what()}] {
                    self->answered(number, std::unexpected(why));
                });
            }
        }
    }
    void answered(std::uint64_t number, const Answer& answer) {
        --running_;
        run_more();
        const auto asked = waiting_.extract(number);
        if (waiting_.empty()) work_.reset();
        if (asked) asked.mapped()(answer);
    }

    asio::io_context& loop_;
    const std::shared_ptr<Outlet> outlet_ = std::make_shared<Outlet>();
    std::uint64_t next_ = 0;
    std::size_t running_ = 0;
    std::map<std::uint64_t, Done> waiting_;
    std::deque<std::pair<std::uint64_t, std::string>> queue_;
    std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work_;
};

LookUps::LookUps(asio::io_context& loop) : core_(std::make_shared<Core>(loop)) {}

LookUps::~LookUps() {
    core_->stop();
}

std::uint64_t LookUps::start(const std::string& host, Done done) {
    return core_->start(host, std::move(done));
}

void LookUps::cancel(std::uint64_t number) {
    core_->cancel(number);
}

}  // namespace nsboot_lb::upstream
