#pragma once
/// An exchange as a session hands it on, made of a request's text, with the worker, the client and the two messages
/// that it needs around it. The client's connection is not open unless a test opens it. For the test's thread only.
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "../net/loop.hpp"
#include "nsboot_lb/forward/worker.hpp"
#include "nsboot_lb/http/h1/parse.hpp"
#include "nsboot_lb/http/h1/response_writer.hpp"

namespace nsboot_lb::forward::testing {

inline base::IpAddress address_of(std::string_view text) {
    const auto address = base::IpAddress::parse(text);
    if (!address) throw std::invalid_argument("not an address");
    return *address;
}

inline std::vector<base::Cidr> ranges_of(std::initializer_list<std::string_view> texts) {
    std::vector<base::Cidr> ranges;
    for (const auto text : texts) ranges.push_back(base::Cidr::parse(text).value());
    return ranges;
}

class MadeExchange {
  public:
    explicit MadeExchange(std::string_view request, config::Config config = {}) {
        auto snapshot = std::make_shared<Snapshot>(std::vector<config::Route>{});
        snapshot->config = std::make_shared<const config::Config>(std::move(config));
        auto routes = std::make_shared<Routes>();
        routes->none.counters = statistics.route("none");
        snapshot->routes = std::move(routes);
        exchange.view = make_view(worker, std::move(snapshot));
        exchange.route = &exchange.view->no_route;
        exchange.client = &client;
        exchange.request_body = &body;
        exchange.response = &response;
        exchange.scope = &scope;
        exchange.request_id = "0123456789abcdef";
        connect_from("192.0.2.1");
        receive(request);
    }

    /// The client's address, as the connection says it and as nothing else contradicts.
    void connect_from(std::string_view address) {
        client.address = address_of(address);
        client.address_size =
            static_cast<std::uint8_t>(address.copy(client.address_text.data(), client.address_text.size()));
        exchange.client_address = client.address;
    }

    void receive(std::string_view request) {
        exchange.head.clear();
        exchange.head.append(request);
        http::HeadError error;
        if (http::h1::parse_request(exchange.head.text(), {}, exchange.request, error) != http::h1::Parsed::complete)
            throw std::invalid_argument("not a request: " + std::string(error.text));
        body.begin(exchange.request.framing, exchange.request.content_length, {});
    }

    /// Runs a coroutine on the worker's loop to its end.
    void run(net::Task<void> task) { net::testing::run(io, worker.reactor, std::move(task)); }

    boost::asio::io_context io{1};
    observe::Statistics statistics{1};
    Worker worker{0, 1, io, statistics, "lb-test"};
    Client client;
    net::Scope scope;
    net::Stream stream{worker.reactor};  ///< the client's
    http::Input input;                   ///< of `stream`
    Exchange exchange;
    http::h1::BodyReader body{stream, input, *worker.scratch};
    http::h1::ResponseWriter response{stream,           input, *worker.scratch, worker.response_out,
                                      exchange.request, body,  worker.draining};
};

/// "Name: value" of each field that would cross.
template <class Fields>
std::vector<std::string> lines_of(const Fields& fields) {
    std::vector<std::string> lines;
    for (const auto& field : fields) {
        if (!field.dropped) lines.push_back(std::string(field.name) + ": " + std::string(field.value));
    }
    return lines;
}

/// The same of fields that filters added.
inline std::vector<std::string> lines_of(const std::vector<std::pair<std::string, std::string>>& fields) {
    std::vector<std::string> lines;
    for (const auto& [name, value] : fields) lines.push_back(name + ": " + value);
    return lines;
}

}  // namespace nsboot_lb::forward::testing
