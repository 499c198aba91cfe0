#pragma once
/// What the tests of flow, time and failure (BEHAVIOURS rows 51 to 60) share: a daemon with short time limits and small
/// limits of size, and a look at the clock. GoogleTest's thread alone uses it.
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "shared_proxy.hpp"

namespace nsboot_lb::test {

inline constexpr std::size_t mebibyte_bytes = 1024 * 1024;

inline std::string post(std::string_view target, std::string_view lines, std::string_view body = "") {
    return "POST " + std::string{target} + " HTTP/1.1\r\nHost: example.com\r\n" + std::string{lines} + "\r\n" +
           std::string{body};
}

template <typename Suite>
class FlowProxy : public SharedProxy<Suite> {
  public:
    static constexpr const char* config = R"(
workers: 1
listeners:
  - {address: "127.0.0.1:0", name: main}
pools:
  servers:
    servers: ["$origin"]
    timeouts: {connect: 1s, response: 2s, idle: 2s}
    passive_health: {max_fails: 0}
routes:
  - {name: limited, match: {path_prefix: /limited}, pool: servers, max_body: 1000}
  - {name: impatient, match: {path_prefix: /impatient}, pool: servers, timeouts: {response: 300ms}}
  - {name: stalling, match: {path_prefix: /stalling}, pool: servers, timeouts: {idle: 300ms}}
  - {name: all, pool: servers}
limits: {header_size: 4KiB, uri_size: 1KiB, header_count: 20}
timeouts: {header: 300ms, idle: 1s, body: 1s, send: 1s}
admin: {address: "127.0.0.1:0"}
)";

  protected:
    void SetUp() override {
        SharedProxy<Suite>::SetUp();
        began_ = std::chrono::steady_clock::now();
    }
    /// Since the test began.
    std::chrono::milliseconds elapsed() const {
        return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began_);
    }

  private:
    std::chrono::steady_clock::time_point began_;
};

}  // namespace nsboot_lb::test
