#include "origin.hpp"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.hpp"

namespace nsboot_lb::test {

OriginConnection::OriginConnection(Origin& origin, int descriptor, int index)
    : Wire(descriptor), origin_(origin), index_(index) {}

Message OriginConnection::receive() {
    Message message = receive_message(Kind::request);
    origin_.record(index_, message);
    return message;
}

Message OriginConnection::receive_head() {
    Message message = Wire::receive_head(Kind::request);
    origin_.record(index_, message);
    return message;
}

std::string Origin::ok_answer() {
    return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
}

Origin::Origin(const std::string& unix_path) : listener_(listen_on(unix_path, 0, 128)), unix_path_(unix_path) {
    address_ = unix_path.empty() ? "127.0.0.1:" + std::to_string(local_port(listener_)) : "unix:" + unix_path;
    ::fcntl(listener_, F_SETFL, O_NONBLOCK);
    answer(ok_answer());
    acceptor_ = std::jthread{[this] { accept_all(); }};
}

Origin::~Origin() {
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
        for (const auto& line : lines_) line->connection->interrupt();
    }
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    for (const auto& line : lines_) line->thread.join();
    ::close(listener_);
    if (!unix_path_.empty()) ::unlink(unix_path_.c_str());
}

void Origin::script(Script script) {
    const std::lock_guard lock{mutex_};
    script_ = std::move(script);
}

void Origin::answer(std::string bytes) {
    script([bytes = std::move(bytes)](OriginConnection& connection) {
        if (connection.receive().complete) connection.send(bytes);
    });
}

bool Origin::is_idle(Line& line) const {
    return line.ended || (!line.in_exchange && !line.connection->has_input());
}

bool Origin::has_settled() const {
    pollfd listening{listener_, POLLIN, 0};
    if (::poll(&listening, 1, 0) > 0) return false;
    return std::ranges::all_of(lines_, [this](const auto& line) { return is_idle(*line); });
}

void Origin::settle() {
    std::unique_lock lock{mutex_};
    if (!changed_.wait_for(lock, patience, [this] { return has_settled(); })) {
        throw Failure("an origin's script does not end");
    }
}

void Origin::start_over() {
    answer(ok_answer());
    std::unique_lock lock{mutex_};
    const auto cut_off_and_settled = [this] {
        for (const auto& line : lines_) {
            if (line->in_exchange) line->connection->interrupt();
        }
        return has_settled();
    };
    if (!changed_.wait_for(lock, patience, cut_off_and_settled)) throw Failure("an origin's script does not end");
    requests_.clear();
    failures_.clear();
    first_counted_connection_ = static_cast<int>(lines_.size());
}

std::vector<Message> Origin::requests() const {
    const std::lock_guard lock{mutex_};
    return requests_;
}

Message Origin::await_request(std::size_t index) const {
    std::unique_lock lock{mutex_};
    const auto there = [&] { return requests_.size() > index && requests_[index].complete; };
    if (!changed_.wait_for(lock, patience, there)) {
        throw Failure("the origin did not receive request " + std::to_string(index) + "; it has " +
                      std::to_string(requests_.size()));
    }
    return requests_[index];
}

int Origin::connections() const {
    const std::lock_guard lock{mutex_};
    return static_cast<int>(lines_.size()) - first_counted_connection_;
}

std::vector<std::string> Origin::failures() const {
    const std::lock_guard lock{mutex_};
    return failures_;
}

/// Accepts under the lock, so that a connection is always either in the listener's queue or among the lines.
void Origin::accept_all() {
    while (true) {
        pollfd listening{listener_, POLLIN, 0};
        if (::poll(&listening, 1, -1) < 0 && errno != EINTR) return;
        const std::lock_guard lock{mutex_};
        if (stopping_) return;
        const int descriptor = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (descriptor >= 0) add_line(descriptor);
    }
}

void Origin::add_line(int descriptor) {
    const int yes = 1;
    ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    auto& line = *lines_.emplace_back(std::make_unique<Line>());
    line.connection = std::make_unique<OriginConnection>(*this, descriptor, static_cast<int>(lines_.size()) - 1);
    line.thread = std::jthread{[this, &line] { serve(line); }};
    changed_.notify_all();
}

/// Runs the script of the moment for each exchange until the connection ends.
void Origin::serve(Line& line) {
    OriginConnection& connection = *line.connection;
    while (connection.is_open() && connection.await_readable()) {
        Script script;
        {
            const std::lock_guard lock{mutex_};
            line.in_exchange = true;
            changed_.notify_all();
            script = script_;
            requests_.emplace_back().connection = connection.index();
        }
        std::string failure;
        try {
            script(connection);
        } catch (const std::exception& thrown) {
            failure = thrown.what();
            connection.close();
        }
        const std::lock_guard lock{mutex_};
        line.in_exchange = false;
        if (!failure.empty() && !stopping_) failures_.push_back(failure);
        changed_.notify_all();
    }
    connection.close();
    const std::lock_guard lock{mutex_};
    line.ended = true;
    changed_.notify_all();
}

/// Into the record that was opened when this connection's exchange began, or behind it if the script receives more.
void Origin::record(int connection, const Message& message) {
    const std::lock_guard lock{mutex_};
    Message recorded = message;
    recorded.connection = connection;
    for (auto& request : requests_) {
        if (request.connection == connection && request.raw.empty()) {
            request = std::move(recorded);
            changed_.notify_all();
            return;
        }
    }
    requests_.push_back(std::move(recorded));
    changed_.notify_all();
}

}  // namespace nsboot_lb::test
