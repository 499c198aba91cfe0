#include "closed_loop.hpp"

#include <exception>
#include <memory>

#include <boost/beast/http/verb.hpp>

#include "client.hpp"
#include "image.hpp"
#include "site.hpp"
#include "wire.hpp"

namespace nsboot_lb::test {

namespace {

constexpr std::size_t failures_shown = 10;

std::string script(const std::string& server, const std::string& target) {
    standin::RequestHead head;
    head.method(boost::beast::http::verb::get);
    head.target({target.data(), target.size()});
    return standin::Site{server}.answer(head, "").message.body();
}

std::string image(std::string_view name, std::size_t size_bytes) {
    std::string bytes(size_bytes, '\0');
    standin::Image{name, size_bytes}.read(0, std::as_writable_bytes(std::span{bytes}));
    return bytes;
}

/// What is wrong with an answer; empty if nothing is.
std::string fault_of(const Message& answer, const std::string* body) {
    if (!answer.complete) return "not whole: " + escaped(answer.raw.substr(0, 200));
    if (answer.status() != 200) return escaped(answer.raw.substr(0, 200));
    if (body == nullptr) return "served by nobody that is known: " + escaped(answer.head);
    if (answer.field("Content-Length") != std::to_string(body->size())) return "wrong length: " + escaped(answer.head);
    if (answer.body != *body) return "wrong bytes: " + escaped(answer.raw.substr(0, 200));
    return {};
}

}  // namespace

ExpectedAnswers::ExpectedAnswers(const std::vector<std::string>& servers) {
    // As large as a server sends in one piece: a body that is cut in two by a server's death cannot be repaired.
    static constexpr std::size_t image_bytes = 16 * 1024;
    for (const std::string number : {"1", "2", "3", "4"}) {
        targets_.push_back("/boot/menu-" + number + ".ipxe");
        auto& scripts = bodies_.emplace_back();
        for (const auto& server : servers) scripts.emplace(server, script(server, targets_.back()));
        targets_.push_back("/images/part-" + number + "?size=" + std::to_string(image_bytes));
        auto& images = bodies_.emplace_back();
        for (const auto& server : servers) images.emplace(server, image("part-" + number, image_bytes));
    }
}

const std::string* ExpectedAnswers::body(std::size_t index, const std::string& server) const {
    const auto found = bodies_[index].find(server);
    return found == bodies_[index].end() ? nullptr : &found->second;
}

ClosedLoop::ClosedLoop(std::uint16_t port, std::size_t clients, const ExpectedAnswers& expected,
                       std::optional<std::size_t> most)
    : port_(port), expected_(expected), most_(most) {
    tally_.by_client.resize(clients);
    for (std::size_t client = 0; client < clients; ++client)
        threads_.emplace_back([this, client](const std::stop_token& stopped) { run(stopped, client); });
}

ClosedLoop::~ClosedLoop() {
    stop();
}

void ClosedLoop::run(const std::stop_token& stopped, std::size_t client) {
    const bool keeps = client % 2 == 0;
    const std::string end = keeps ? "\r\n\r\n" : "\r\nConnection: close\r\n\r\n";
    std::unique_ptr<Client> connection;
    for (std::size_t turn = client; !stopped.stop_requested() && may_begin(); ++turn) {
        const std::size_t asked = turn % expected_.size();
        const auto began = std::chrono::steady_clock::now();
        std::string server;
        std::string failure;
        try {
            if (!connection) connection = std::make_unique<Client>(port_);
            const Message answer =
                connection->exchange("GET " + expected_.target(asked) + " HTTP/1.1\r\nHost: nsboot" + end);
            server = answer.field("X-Served-By");
            failure = fault_of(answer, expected_.body(asked, server));
        } catch (const std::exception& thrown) {
            failure = thrown.what();
        }
        if (!keeps || !failure.empty()) connection.reset();
        take(client, server, failure, std::chrono::steady_clock::now() - began);
    }
}

bool ClosedLoop::may_begin() {
    const std::lock_guard lock{mutex_};
    return begun_++ < most_.value_or(SIZE_MAX);
}

void ClosedLoop::take(std::size_t client, const std::string& server, const std::string& failure,
                      std::chrono::steady_clock::duration took) {
    const std::lock_guard lock{mutex_};
    tally_.slowest = std::max(tally_.slowest, std::chrono::ceil<std::chrono::milliseconds>(took));
    if (failure.empty()) {
        ++tally_.answered;
        ++tally_.by_server[server];
        ++tally_.by_client[client];
    } else {
        ++tally_.failed;
        if (tally_.failures.size() < failures_shown) tally_.failures.push_back(failure);
    }
    changed_.notify_all();
}

std::size_t ClosedLoop::count() const {
    const std::lock_guard lock{mutex_};
    return done();
}

void ClosedLoop::await_answers(std::size_t count) const {
    std::unique_lock lock{mutex_};
    while (done() < count) {
        const auto before = done();
        if (!changed_.wait_for(lock, patience, [&] { return done() != before; }))
            throw Failure("no answer to any client, after " + std::to_string(before));
    }
}

void ClosedLoop::await_more(std::size_t more) const {
    await_answers(count() + more);
}

ClosedLoop::Tally ClosedLoop::stop() {
    for (auto& thread : threads_) thread.request_stop();
    return finish();
}

ClosedLoop::Tally ClosedLoop::finish() {
    for (auto& thread : threads_)
        if (thread.joinable()) thread.join();
    const std::lock_guard lock{mutex_};
    tally_.took = std::chrono::ceil<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began_);
    return tally_;
}

}  // namespace nsboot_lb::test
