#include "api.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "bearer.hpp"
#include "cross_site.hpp"
#include "dashboard.hpp"
#include "json.hpp"
#include "nsboot_lb/observe/collector.hpp"
#include "nsboot_lb/observe/log.hpp"
#include "upstream_metrics.hpp"

namespace nsboot_lb::admin {

namespace {

constexpr std::string_view text_type = "text/plain; charset=utf-8";
constexpr std::string_view pools_prefix = "/api/v1/pools/";
constexpr std::string_view servers_infix = "/servers/";

ApiResponse json_response(int status, const boost::json::value& value) {
    return {.status = status, .body = boost::json::serialize(value) + "\n"};
}

ApiResponse error(int status, std::string_view what) {
    return json_response(status, error_json(what));
}

ApiResponse text(int status, std::string body) {
    return {.status = status, .content_type = text_type, .body = std::move(body)};
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// Nothing if a percent sign has no two hexadecimal digits after it (RFC 3986 2.1).
std::optional<std::string> percent_decoded(std::string_view encoded) {
    std::string decoded;
    for (std::size_t i = 0; i < encoded.size(); ++i) {
        if (encoded[i] != '%') {
            decoded += encoded[i];
            continue;
        }
        if (i + 2 >= encoded.size()) return std::nullopt;
        const int high = hex_digit(encoded[i + 1]);
        const int low = hex_digit(encoded[i + 2]);
        if (high < 0 || low < 0) return std::nullopt;
        decoded += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return decoded;
}

struct ServerPath {
    std::string pool;
    std::string server;
};

/// Of /api/v1/pools/{pool}/servers/{server}. A server's name may hold slashes ("unix:/run/x"), coded or not.
std::optional<ServerPath> server_path(std::string_view path) {
    if (!path.starts_with(pools_prefix)) return std::nullopt;
    path.remove_prefix(pools_prefix.size());
    const std::size_t infix = path.find(servers_infix);
    if (infix == std::string_view::npos) return std::nullopt;
    auto pool = percent_decoded(path.substr(0, infix));
    auto server = percent_decoded(path.substr(infix + servers_infix.size()));
    if (!pool || !server || pool->empty() || server->empty()) return std::nullopt;
    return ServerPath{std::move(*pool), std::move(*server)};
}

std::string_view path_of(std::string_view target) {
    return target.substr(0, target.find('?'));
}

using Answer = boost::asio::awaitable<ApiResponse>;

/// What `make` gives on the background thread: it may take a second, and the control thread has health checks to run.
template <class Make>
Answer in_background(const AdminContext& context, Make make) {
    auto work = [make = std::move(make)]() mutable -> Answer {
        const auto mine = std::move(make);  // what it holds goes before the answer does
        co_return mine();
    };
    auto response = co_await boost::asio::co_spawn(context.background, std::move(work), boost::asio::use_awaitable);
    co_return response;
}

// What answers at each path.

Answer metrics(const AdminContext& context, const ApiRequest&) {
    return in_background(context, [view = context.view()] {
        observe::MetricFamilies families = view.metrics();
        collect_upstream_state(view.pools(), families);
        return ApiResponse{.content_type = "text/plain; version=0.0.4; charset=utf-8",
                           .body = observe::to_text(families)};
    });
}

Answer health(const AdminContext& context, const ApiRequest&) {
    co_return context.draining() ? text(503, "draining\n") : text(200, "ok\n");
}

Answer readiness(const AdminContext& context, const ApiRequest&) {
    return in_background(context, [view = context.view(), draining = context.draining()] {
        std::string problems;
        if (draining) problems += "draining\n";
        for (const PoolStatus& pool : view.pools()) {
            if (!pool.available) problems += "pool " + pool.name + " has no available server\n";
        }
        return problems.empty() ? text(200, "ready\n") : text(503, std::move(problems));
    });
}

Answer status(const AdminContext& context, const ApiRequest&) {
    return in_background(context, [view = context.view()] {
        return json_response(200, to_json(view.status(), std::chrono::system_clock::now()));
    });
}

Answer pools(const AdminContext& context, const ApiRequest&) {
    return in_background(context, [view = context.view()] { return json_response(200, to_json(view.pools())); });
}

Answer config(const AdminContext& context, const ApiRequest&) {
    return in_background(context, [view = context.view()] {
        return json_response(200, boost::json::object{{"yaml", view.config_yaml()}});
    });
}

Answer log_level(const AdminContext&, const ApiRequest& request) {
    const auto level = parse_log_level(request.body);
    if (!level) co_return error(400, level.error());
    observe::log::set_level(*level);
    observe::log::info("log level changed level={}", observe::log::to_string(*level));
    co_return json_response(200, boost::json::object{{"level", observe::log::to_string(*level)}});
}

Answer reload(const AdminContext& context, const ApiRequest&) {
    const ReloadResult result = co_await context.reload();
    co_return json_response(result.successful ? 200 : 422, to_json(result));
}

ApiResponse server_response(const View& view, const ServerPath& path) {
    boost::json::array endpoints;
    for (const PoolStatus& pool : view.pools()) {
        for (const ServerStatus& server : pool.servers) {
            if (pool.name == path.pool && server.name == path.server) endpoints.push_back(to_json(server));
        }
    }
    return json_response(200, boost::json::object{{"servers", std::move(endpoints)}});
}

Answer change_server(const AdminContext& context, const ApiRequest& request) {
    const auto path = server_path(path_of(request.target));
    const auto change = parse_server_change(request.body);
    if (!change) co_return error(400, change.error());
    switch (context.change_server(path->pool, path->server, *change)) {
        case ChangeResult::changed: break;
        case ChangeResult::no_such_pool: co_return error(404, "there is no pool \"" + path->pool + "\"");
        case ChangeResult::no_such_server:
            co_return error(404, "the pool \"" + path->pool + "\" has no server \"" + path->server + "\"");
        case ChangeResult::unresolved:
            co_return error(409, "the name of the server \"" + path->server +
                                     "\" has no address yet, so there is nothing to change; see the event log");
    }
    auto show = [view = context.view(), path = *path] { return server_response(view, path); };
    auto response = co_await in_background(context, std::move(show));
    co_return response;
}

template <DashboardFile file>
Answer dashboard_file(const AdminContext&, const ApiRequest&) {
    co_return ApiResponse{.content_type = dashboard_type(file), .body = std::string(dashboard_text(file))};
}

/// A path, the one method that it knows (GET has HEAD beside it), and what answers.
struct Resource {
    std::string_view path;
    std::string_view method;
    Answer (*answer)(const AdminContext&, const ApiRequest&);
    bool open = true;  ///< to readers, by whatever name of the host they ask

    std::string_view allow() const { return method == "GET" ? std::string_view("GET, HEAD") : method; }
    bool allows(std::string_view asked) const { return asked == method || (method == "GET" && asked == "HEAD"); }
    bool changes() const { return method != "GET"; }
};

constexpr std::array resources{
    Resource{"/", "GET", dashboard_file<DashboardFile::page>},
    Resource{"/dashboard.js", "GET", dashboard_file<DashboardFile::script>},
    Resource{"/dashboard.css", "GET", dashboard_file<DashboardFile::style>},
    Resource{"/metrics", "GET", metrics},
    Resource{"/healthz", "GET", health},
    Resource{"/readyz", "GET", readiness},
    Resource{"/api/v1/status", "GET", status},
    Resource{"/api/v1/pools", "GET", pools},
    Resource{"/api/v1/config", "GET", config, false},
    Resource{"/api/v1/reload", "POST", reload},
    Resource{"/api/v1/log-level", "PUT", log_level},
};
constexpr Resource server_resource{"", "POST", change_server};

const Resource* find_resource(std::string_view path) {
    const auto found = std::ranges::find(resources, path, &Resource::path);
    if (found != resources.end()) return &*found;
    return server_path(path) ? &server_resource : nullptr;
}

}  // namespace

Api::Api(AdminContext context, const config::Admin& access) : context_(std::move(context)) {
    set_access(access);
}

void Api::set_access(const config::Admin& access) {
    token_file_ = access.token_file;
    hosts_ = access.hosts;
}

boost::asio::awaitable<ApiResponse> Api::handle(ApiRequest request) const {
    const Resource* const resource = find_resource(path_of(request.target));
    if (resource == nullptr) co_return error(404, "there is nothing here");
    if (!resource->allows(request.method)) {
        ApiResponse refusal = error(405, "this takes " + std::string(resource->allow()));
        refusal.allow = resource->allow();
        co_return refusal;
    }
    auto refusal = resource->changes() ? refusal_of_change(request)
                   : resource->open    ? std::nullopt
                                       : refusal_by_host(request);
    if (refusal) co_return std::move(*refusal);
    auto response = co_await resource->answer(context_, request);
    co_return response;
}

std::optional<ApiResponse> Api::refusal_of_change(const ApiRequest& request) const {
    if (is_cross_site(request)) return error(403, "a page of another site may not change anything");
    return token_file_.empty() ? refusal_by_host(request) : refusal_by_token(request);
}

std::optional<ApiResponse> Api::refusal_by_token(const ApiRequest& request) const {
    const auto token = read_token(token_file_);
    if (!token) {
        observe::log::error("change refused error={}", token.error());
        return error(503, "the token file cannot be read");
    }
    if (is_bearer(request.authorization, *token)) return std::nullopt;
    ApiResponse refusal = error(401, "changes need Authorization: Bearer TOKEN");
    refusal.authenticate = true;
    return refusal;
}

/// Who has the token may come by any name.
std::optional<ApiResponse> Api::refusal_by_host(const ApiRequest& request) const {
    if (request.local || is_own_host(request.host, hosts_)) return std::nullopt;
    if (!token_file_.empty() && !request.authorization.empty() && !refusal_by_token(request)) return std::nullopt;
    return error(403,
                 "the host \"" + std::string(request.host) + "\" is no address, not localhost, and not in admin.hosts");
}

}  // namespace nsboot_lb::admin
