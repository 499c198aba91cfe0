#pragma once
/// What a route asks for beside host and path: method, header, websocket and client. Compiled once with a RouteTable
/// and immutable from then on; any thread may ask. Private to this floor.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <re2/re2.h>

#include "nsboot_lb/route/route_table.hpp"

namespace nsboot_lb::route {

class Conditions {
  public:
    explicit Conditions(const config::Match& match);

    /// Whether it asks for nothing.
    bool empty() const;
    bool hold(const RouteRequest& request) const;
    /// The first that does not hold, as text; nothing if all hold.
    std::optional<std::string> why_not(const RouteRequest& request) const;

  private:
    struct Header {
        config::HeaderMatch match;
        std::unique_ptr<const re2::RE2> regex;  ///< of HeaderTest::regex

        bool holds(const http::RequestHead* head) const;
        bool takes_value(std::string_view value) const;
        std::string why_not() const;
    };

    bool method_holds(const RouteRequest& request) const;
    bool client_holds(const RouteRequest& request) const;

    std::vector<std::string> methods_;
    std::vector<Header> headers_;
    std::optional<bool> websocket_;
    std::vector<base::Cidr> clients_;
};

/// `text` in quotes, control octets as \xNN: requests must not write to a terminal.
std::string quoted(std::string_view text);
/// "a, b, c".
std::string joined(const std::vector<std::string>& items);

}  // namespace nsboot_lb::route
