#include "traffic.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <mutex>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <span>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include "address.hpp"
#include "event.hpp"
#include "websocket.hpp"
#include "wire.hpp"

namespace nsboot_lb::test {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto message_pause = 10ms;
constexpr int backlog = 1024;
/// More of the same would say nothing new.
constexpr std::size_t most_failures = 20;
constexpr std::string_view head_end = "\r\n\r\n";

void make_ready(int descriptor) {
    ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK);
    const int on = 1;
    ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // fails for a unix socket, which needs none
}

int connect_through(const Door& door) {
    const int descriptor =
        door.unix_path.empty() ? connect_to("127.0.0.1", door.port, "") : connect_to_unix(door.unix_path);
    make_ready(descriptor);
    return descriptor;
}

/// Somebody with a socket. Messages are small, so that a socket always has room for one.
class Party {
  public:
    explicit Party(int descriptor) : descriptor_(descriptor) {}
    Party(const Party&) = delete;
    Party& operator=(const Party&) = delete;
    virtual ~Party() { ::close(descriptor_); }

    int descriptor() const { return descriptor_; }
    /// What goes wrong, or nothing.
    std::string on_readable(std::span<char> block) {
        for (;;) {
            const auto got = ::recv(descriptor_, block.data(), block.size(), MSG_DONTWAIT);
            if (got < 0 && errno == EAGAIN) return {};
            if (got < 0) return std::string{"the connection broke: "} + std::strerror(errno);
            if (got == 0) return at_end();
            received_.append(block.data(), static_cast<std::size_t>(got));
            if (auto wrong = look(); !wrong.empty() || ended) return wrong;
        }
    }
    virtual std::string on_tick(bool /*more*/) { return {}; }
    /// Whether an answer is still to come.
    virtual bool waiting() const { return false; }
    virtual std::string name() const = 0;
    bool ended = false;  ///< nothing more is expected of it

  protected:
    /// More was received.
    virtual std::string look() = 0;
    virtual std::string at_end() { return "the connection was closed"; }
    std::string send(std::string_view bytes) const {
        const auto sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        return sent == static_cast<ssize_t>(bytes.size()) ? "" : "could not send";
    }
    std::string received_;

  private:
    const int descriptor_;
};

/// One connection at a server: answers requests, or echoes messages after an upgrade.
class Serving final : public Party {
  public:
    Serving(int descriptor, std::string server) : Party(descriptor), server_(std::move(server)) {}
    std::string name() const override { return "a connection of server " + server_; }

  private:
    std::string look() override {
        std::string_view rest = received_;
        while (!rest.empty()) {
            const auto before = rest.size();
            if (auto wrong = upgraded_ ? echo(rest) : answer(rest); !wrong.empty()) ended = true;
            if (rest.size() == before) break;
        }
        received_.erase(0, received_.size() - rest.size());
        return {};
    }
    std::string answer(std::string_view& rest) {
        const auto end = rest.find(head_end);
        if (end == rest.npos) return {};
        const auto head = rest.substr(0, end);
        rest.remove_prefix(end + head_end.size());
        const auto begin = head.find(' ') + 1;
        const auto target = head.substr(begin, head.find(' ', begin) - begin);
        if (head.find("Sec-WebSocket-Key") != head.npos) {
            upgraded_ = true;
            return send(websocket_response);
        }
        const std::string body{target};
        return send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    }
    std::string echo(std::string_view& rest) {
        const auto frame = take_frame(rest);
        return frame ? send(server_frame(frame->first, frame->payload)) : "";
    }
    // The daemon may close what it holds to a server as it likes: it is the clients that must not notice.
    std::string at_end() override {
        ended = true;
        return {};
    }
    const std::string server_;
    bool upgraded_ = false;
};

class Listening final : public Party {
  public:
    using Accepted = std::function<void(int)>;
    Listening(int descriptor, Accepted accepted) : Party(descriptor), accepted_(std::move(accepted)) {
        make_ready(descriptor);
    }
    void accept_all() const {
        for (int descriptor = 0; (descriptor = ::accept4(this->descriptor(), nullptr, nullptr, SOCK_CLOEXEC)) >= 0;)
            accepted_(descriptor);
    }
    std::string name() const override { return "a server"; }

  private:
    std::string look() override { return {}; }
    Accepted accepted_;
};

class Asking final : public Party {
  public:
    Asking(const Door& door, std::size_t number, std::atomic<std::uint64_t>& count,
           std::function<void(Clock::duration)> took)
        : Party(connect_through(door)), number_(number), count_(count), took_(std::move(took)) {}
    bool waiting() const override { return waiting_; }
    std::string name() const override { return "client " + std::to_string(number_); }
    std::string on_tick(bool more) override {
        more_ = more;
        return more && !waiting_ ? ask() : "";
    }

  private:
    std::string ask() {
        target_ = "/traffic/" + std::to_string(number_) + "/" + std::to_string(++turn_);
        waiting_ = true;
        began_ = Clock::now();
        return send("GET " + target_ + " HTTP/1.1\r\nHost: example.com\r\n\r\n");
    }
    std::string look() override {
        const auto end = received_.find(head_end);
        if (end == received_.npos || received_.size() < end + head_end.size() + target_.size()) return {};
        const bool right = received_.starts_with("HTTP/1.1 200 ") && received_.ends_with(head_end.data() + target_);
        if (!right || received_.find("onnection: close") < end) return target_ + " was answered with " + received_;
        received_.clear();
        waiting_ = false;
        ++count_;
        took_(Clock::now() - began_);
        return more_ ? ask() : "";
    }
    const std::size_t number_;
    std::atomic<std::uint64_t>& count_;
    const std::function<void(Clock::duration)> took_;
    std::uint64_t turn_ = 0;
    std::string target_;
    Clock::time_point began_;
    bool waiting_ = false;
    bool more_ = true;
};

class Talking final : public Party {
  public:
    Talking(const Door& door, std::size_t number, std::size_t size, std::atomic<std::uint64_t>& count)
        : Party(connect_through(door)), number_(number), size_(size), count_(count) {}
    bool waiting() const override { return waiting_; }
    std::string name() const override { return "WebSocket " + std::to_string(number_); }
    std::string on_tick(bool more) override {
        if (waiting_ || !more) return {};
        waiting_ = true;
        if (!open_) return send(websocket_request);
        text_ = std::to_string(number_) + "." + std::to_string(++turn_) + ".";
        text_.resize(std::max(size_, text_.size()), '.');
        return send(client_frame(text_frame, text_));
    }

  private:
    std::string look() override {
        if (!open_) {
            const auto end = received_.find(head_end);
            if (end == received_.npos) return {};
            if (!received_.starts_with("HTTP/1.1 101 ")) return "the upgrade was answered with " + received_;
            received_.erase(0, end + head_end.size());
            open_ = true;
            waiting_ = false;
        }
        std::string_view rest = received_;
        if (const auto frame = take_frame(rest)) {
            if (frame->first != text_frame || frame->payload != text_ || !rest.empty())
                return "\"" + text_ + "\" was answered with \"" + frame->payload + "\"";
            received_.clear();
            waiting_ = false;
            ++count_;
        }
        return {};
    }
    const std::size_t number_;
    const std::size_t size_;
    std::atomic<std::uint64_t>& count_;
    std::uint64_t turn_ = 0;
    std::string text_;
    bool open_ = false;
    bool waiting_ = false;
};

}  // namespace

class Traffic::Impl {
  public:
    explicit Impl(std::size_t servers) {
        epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
        for (std::size_t i = 0; i < servers; ++i) {
            const int descriptor = listen_on("", 0, backlog);
            names_.push_back("127.0.0.1:" + std::to_string(local_port(descriptor)));
            listening_.push_back(std::make_unique<Listening>(
                descriptor, [this, name = names_.back()](int accepted) { serve(accepted, name); }));
            watch(*listening_.back());
        }
    }
    ~Impl() {
        end_ = true;
        if (thread_.joinable()) thread_.join();
        ::close(epoll_);
    }

    template <class Client, class... Arguments>
    void add(Arguments&&... arguments) {
        clients_.push_back(std::make_unique<Client>(std::forward<Arguments>(arguments)...));
        watch(*clients_.back());
    }
    void start() {
        thread_ = std::thread{[this] { run(); }};
    }
    std::vector<std::string> finish() {
        more_ = false;
        (void)settled_.happens_within(patience);
        end_ = true;
        thread_.join();
        for (const auto& client : clients_) {
            if (client->waiting() && !client->ended && failures_.size() < most_failures)
                failures_.push_back(client->name() + " got no answer");
        }
        return failures_;
    }
    void took(Clock::duration time) {
        const std::lock_guard lock{mutex_};
        durations_.push_back(std::chrono::duration_cast<std::chrono::microseconds>(time));
    }

    std::vector<std::string> names_;
    std::vector<std::unique_ptr<Party>> clients_;
    std::atomic<std::uint64_t> exchanges_{0};
    std::atomic<std::uint64_t> messages_{0};
    std::mutex mutex_;
    std::vector<std::chrono::microseconds> durations_;  ///< guarded by mutex_

  private:
    void watch(Party& party) const {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.ptr = &party;
        if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, party.descriptor(), &event) != 0) throw Failure("epoll_ctl");
    }
    void serve(int descriptor, const std::string& server) {
        make_ready(descriptor);
        serving_.push_back(std::make_unique<Serving>(descriptor, server));
        watch(*serving_.back());
    }
    void note(Party& party, const std::string& wrong) {
        party.ended = party.ended || !wrong.empty();
        if (party.ended) ::epoll_ctl(epoll_, EPOLL_CTL_DEL, party.descriptor(), nullptr);
        if (wrong.empty()) return;
        if (failures_.size() < most_failures) failures_.push_back(party.name() + ": " + wrong);
    }
    void run() {
        auto next_tick = Clock::now();
        std::array<epoll_event, 256> events{};
        while (!end_) {
            const int count = ::epoll_wait(epoll_, events.data(), events.size(), 2);
            for (int i = 0; i < count; ++i) {
                auto& party = *static_cast<Party*>(events[static_cast<std::size_t>(i)].data.ptr);
                if (auto* listening = dynamic_cast<Listening*>(&party))
                    listening->accept_all();
                else
                    note(party, party.on_readable(block_));
            }
            if (Clock::now() < next_tick) continue;
            next_tick = Clock::now() + message_pause;
            tick();
        }
    }
    void tick() {
        std::erase_if(serving_, [](const auto& one) { return one->ended; });
        const bool more = more_;
        bool waiting = false;
        for (const auto& client : clients_) {
            if (client->ended) continue;
            note(*client, client->on_tick(more));
            waiting = waiting || client->waiting();
        }
        if (!more && !waiting) settled_.set();
    }

    int epoll_ = -1;
    std::vector<std::unique_ptr<Listening>> listening_;
    std::vector<std::unique_ptr<Serving>> serving_;
    std::vector<std::string> failures_;  ///< of the thread while it runs
    std::array<char, 64 * 1024> block_{};
    std::atomic<bool> more_{true};
    Event<> settled_;
    std::atomic<bool> end_{false};
    std::thread thread_;
};

Traffic::Traffic(std::size_t servers) : impl_(std::make_unique<Impl>(servers)) {}
Traffic::~Traffic() = default;

const std::vector<std::string>& Traffic::servers() const {
    return impl_->names_;
}

void Traffic::add_clients(const Door& door, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        impl_->add<Asking>(door, impl_->clients_.size(), impl_->exchanges_,
                           [this](Clock::duration time) { impl_->took(time); });
    }
}

void Traffic::add_websockets(const Door& door, std::size_t count, std::size_t message_size) {
    for (std::size_t i = 0; i < count; ++i)
        impl_->add<Talking>(door, impl_->clients_.size(), message_size, impl_->messages_);
}

void Traffic::start() {
    impl_->start();
}

std::vector<std::string> Traffic::finish() {
    return impl_->finish();
}

std::uint64_t Traffic::exchanges() const {
    return impl_->exchanges_;
}

std::uint64_t Traffic::messages() const {
    return impl_->messages_;
}

std::vector<std::chrono::microseconds> Traffic::take_durations() {
    std::vector<std::chrono::microseconds> taken;
    {
        const std::lock_guard lock{impl_->mutex_};
        taken.swap(impl_->durations_);
    }
    std::ranges::sort(taken);
    return taken;
}

}  // namespace nsboot_lb::test
