#include "client.hpp"

#include "address.hpp"

namespace nsboot_lb::test {

Client::Client(std::uint16_t port, const std::string& source) : Wire(connect_to("127.0.0.1", port, source)) {}

Client::Client(const std::string& unix_path) : Wire(connect_to_unix(unix_path)) {}

Client Client::with_small_buffer(std::uint16_t port) {
    return Client{Connected{connect_with_small_buffer(port)}};
}

Client Client::at(const std::string& host, std::uint16_t port, const std::string& source) {
    return Client{Connected{connect_to(host, port, source)}};
}

Message Client::exchange(std::string_view request) {
    send(request);
    return receive_message(request.starts_with("HEAD ") ? Kind::response_to_head : Kind::response);
}

std::string get(std::string_view target, std::string_view host) {
    return "GET " + std::string{target} + " HTTP/1.1\r\nHost: " + std::string{host} + "\r\n\r\n";
}

}  // namespace nsboot_lb::test
