#include "api.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "bearer.hpp"
#include "dashboard.hpp"
#include "json.hpp"
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

/// A browser says where a script came from. A page of another site must not be able to drain servers, even if its
/// visitor may.
bool is_cross_site(const ApiRequest& request) {
    if (request.origin.empty()) return false;
    return request.origin != "http://" + std::string(request.host);
}

// What answers at each path.

ApiResponse metrics(const AdminContext& context, const ApiRequest&) {
    observe::MetricFamilies families = context.metrics();
    collect_upstream_state(context.pools(), families);
    return {.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = observe::to_text(families)};
}

ApiResponse health(const AdminContext& context, const ApiRequest&) {
    return context.draining() ? text(503, "draining\n") : text(200, "ok\n");
}

ApiResponse readiness(const AdminContext& context, const ApiRequest&) {
    std::string problems;
    if (context.draining()) problems += "draining\n";
    for (const PoolStatus& pool : context.pools()) {
        if (!pool.available) problems += "pool " + pool.name + " has no available server\n";
    }
    return problems.empty() ? text(200, "ready\n") : text(503, std::move(problems));
}

ApiResponse status(const AdminContext& context, const ApiRequest&) {
    return json_response(200, to_json(context.status(), std::chrono::system_clock::now()));
}

ApiResponse pools(const AdminContext& context, const ApiRequest&) {
    return json_response(200, to_json(context.pools()));
}

ApiResponse config(const AdminContext& context, const ApiRequest&) {
    return json_response(200, boost::json::object{{"yaml", context.config_yaml()}});
}

ApiResponse log_level(const AdminContext&, const ApiRequest& request) {
    const auto level = parse_log_level(request.body);
    if (!level) return error(400, level.error());
    observe::log::set_level(*level);
    observe::log::info("log level changed level={}", observe::log::to_string(*level));
    return json_response(200, boost::json::object{{"level", observe::log::to_string(*level)}});
}

boost::asio::awaitable<ApiResponse> reload(const AdminContext& context) {
    const ReloadResult result = co_await context.reload();
    co_return json_response(result.successful ? 200 : 422, to_json(result));
}

ApiResponse change_server(const AdminContext& context, const ApiRequest& request) {
    const auto path = server_path(path_of(request.target));
    const auto change = parse_server_change(request.body);
    if (!change) return error(400, change.error());
    switch (context.change_server(path->pool, path->server, *change)) {
        case ChangeResult::changed: break;
        case ChangeResult::no_such_pool: return error(404, "there is no pool \"" + path->pool + "\"");
        case ChangeResult::no_such_server:
            return error(404, "the pool \"" + path->pool + "\" has no server \"" + path->server + "\"");
        case ChangeResult::unresolved:
            return error(409, "the name of the server \"" + path->server +
                                  "\" has no address yet, so there is nothing to change; see the event log");
    }
    boost::json::array endpoints;
    for (const PoolStatus& pool : context.pools()) {
        for (const ServerStatus& server : pool.servers) {
            if (pool.name == path->pool && server.name == path->server) endpoints.push_back(to_json(server));
        }
    }
    return json_response(200, boost::json::object{{"servers", std::move(endpoints)}});
}

template <DashboardFile file>
ApiResponse dashboard_file(const AdminContext&, const ApiRequest&) {
    return {.content_type = dashboard_type(file), .body = std::string(dashboard_text(file))};
}

/// A path, the one method that it knows (GET has HEAD beside it), and what answers: null for the reload, which takes
/// its time.
struct Resource {
    std::string_view path;
    std::string_view method;
    ApiResponse (*answer)(const AdminContext&, const ApiRequest&);

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
    Resource{"/api/v1/config", "GET", config},
    Resource{"/api/v1/reload", "POST", nullptr},
    Resource{"/api/v1/log-level", "PUT", log_level},
};
constexpr Resource server_resource{"", "POST", change_server};

const Resource* find_resource(std::string_view path) {
    const auto found = std::ranges::find(resources, path, &Resource::path);
    if (found != resources.end()) return &*found;
    return server_path(path) ? &server_resource : nullptr;
}

}  // namespace

Api::Api(AdminContext context, std::string token_file)
    : context_(std::move(context)), token_file_(std::move(token_file)) {}

boost::asio::awaitable<ApiResponse> Api::handle(ApiRequest request) const {
    const Resource* const resource = find_resource(path_of(request.target));
    if (resource == nullptr) co_return error(404, "there is nothing here");
    if (!resource->allows(request.method)) {
        ApiResponse refusal = error(405, "this takes " + std::string(resource->allow()));
        refusal.allow = resource->allow();
        co_return refusal;
    }
    if (resource->changes()) {
        if (auto refusal = refusal_of_change(request)) co_return std::move(*refusal);
    }
    if (resource->answer != nullptr) co_return resource->answer(context_, request);
    auto reloaded = co_await reload(context_);
    co_return reloaded;
}

std::optional<ApiResponse> Api::refusal_of_change(const ApiRequest& request) const {
    if (is_cross_site(request)) return error(403, "a page of another site may not change anything");
    if (token_file_.empty()) return std::nullopt;
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

}  // namespace nsboot_lb::admin
