#pragma once
/// The routes of one configuration, compiled so that the first that matches is found without trying them one by one.
/// Immutable once built and part of a Snapshot; any thread may ask, none has to lock. Paths are compared in their
/// normal form (normal_path.hpp), so that a request cannot slip past a route by spelling its path in another way.
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nsboot_lb/base/cidr.hpp"
#include "nsboot_lb/config/config.hpp"

namespace nsboot_lb::http {
struct RequestHead;
}

namespace nsboot_lb::route {

/// What of a request the routes can ask for. The views have to live only as long as the call.
struct RouteRequest {
    std::string_view host;                    ///< uri-host[:port] as received, any case; empty if there is none
    std::string_view path;                    ///< as received, still percent-encoded, without the query
    std::string_view method;                  ///< as received; methods are case-sensitive (RFC 9110 9.1)
    const http::RequestHead* head = nullptr;  ///< for `header`; without it no field is present
    bool websocket = false;                   ///< asks for Upgrade: websocket
    base::IpAddress client;
};

/// Why a route was passed over.
struct Mismatch {
    std::size_t route = 0;
    std::string why;  ///< such as: path "/api/x" is not under "/boot"
};

struct Explanation {
    std::string path;                   ///< what the routes' paths were compared with
    std::vector<Mismatch> passed_over;  ///< every route before the match, or all of them without one
    std::optional<std::size_t> match;
};

/// A request matches a route if each member given in its `match` holds. Of a list (host, path, method, client) one
/// entry is enough; of `header`, which is a map, every entry has to hold. What the entries mean:
///  - host: the whole name, or for "*.name" any name with at least one label more; any case, ports do not count, and a
///    trailing dot neither. IPv6 addresses may be written with or without brackets.
///  - path: the whole path, case-sensitive.
///  - path_prefix: whole segments. /ws takes /ws, /ws/ and /ws/x but not /wsx; /ws/ takes all that begins with /ws/, so
///    not /ws itself; / takes every path.
///  - path_glob: the whole path; `*` is any run of octets but `/`, `**` any run at all, and `/**/` may also be one `/`.
///    Everything else stands for itself; a literal star is written %2A.
///  - path_regex: RE2 on the whole path (write .* at an end that does not matter). `.` is any octet.
///  - header: the value of any one field of that name, exactly or by RE2 on the whole value.
/// Paths of exact, prefix and glob entries may be percent-encoded or not, as the user likes.
class RouteTable {
  public:
    /// The routes as load() has checked them: regular expressions compile, paths begin with `/`. Nothing is kept of
    /// them.
    explicit RouteTable(std::span<const config::Route> routes);

    /// The index of the first route that matches. Allocates nothing but, once, a scratch per thread for paths that are
    /// not in their normal form.
    std::optional<std::size_t> match(const RouteRequest& request) const;
    /// The same answer by trying one route after the other, with the reasons; for `nsboot-lb explain`.
    Explanation explain(const RouteRequest& request) const;

  private:
    struct Compiled;
    std::shared_ptr<const Compiled> compiled_;  ///< the same in copies
};

}  // namespace nsboot_lb::route
