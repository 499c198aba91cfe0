#include "text.hpp"

#include <algorithm>
#include <array>

#include "listeners.hpp"
#include "nsboot_lb/base/units.hpp"
#include "nsboot_lb/forward/worker.hpp"
#include "nsboot_lb/upstream/retry.hpp"

namespace nsboot_lb::explain {

namespace {

std::string upper(std::string text) {
    for (auto& c : text)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c & ~0x20);
    return text;
}

/// A body on one line.
std::string shown(std::string_view body) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out = "\"";
    for (const char c : body.substr(0, max_shown_body_bytes)) {
        const auto octet = static_cast<unsigned char>(c);
        if (c == '\n')
            out += "\\n";
        else if (c == '"' || c == '\\')
            out.append({'\\', c});
        else if (octet < 0x20 || octet == 0x7f)
            out.append({'\\', 'x', digits[octet >> 4U], digits[octet & 15U]});
        else
            out += c;
    }
    return out + (body.size() > max_shown_body_bytes ? "\" ..." : "\"");
}

class Text {
  public:
    explicit Text(const Explained& explained)
        : asked_(explained.asked),
          config_(explained.config),
          exchange_(explained.exchange),
          told_(explained.told),
          unresolved_(explained.unresolved) {}

    std::string take() {
        add_request();
        out_ += listeners_text(config_, asked_);
        add_routes();
        add_filters("filter", told_.request_filters);
        const auto* pool = exchange_.route->pool;
        if (pool != nullptr && (told_.endpoint || told_.answer->reason == observe::Reason::no_server))
            add_pool(*pool->pool);
        if (told_.answer)
            add_answer(*told_.answer);
        else
            add_server(*pool->pool);
        return with_request_id_named(std::move(out_));
    }

  private:
    void line(std::string_view word, std::string_view value) { out_.append(word).append(": ").append(value) += '\n'; }
    void detail(std::string_view text) { out_.append("  ").append(text) += '\n'; }

    void add_request() {
        line("request", asked_.line);
        add_client();
        if (!asked_.has_host) detail("without a host, as HTTP/1.0; write http://HOST/... or -H 'Host: HOST' for one");
        if (exchange_.request.upgrade == http::UpgradeKind::websocket) detail("a WebSocket request");
        if (told_.routes && told_.routes->path != exchange_.request.path)
            detail("routes compare the path " + told_.routes->path);
        static constexpr std::array<std::string_view, 7> known{"GET",    "HEAD",    "POST", "PUT",
                                                               "DELETE", "OPTIONS", "PATCH"};
        const std::string method(exchange_.request.method_text);
        if (const auto meant = upper(method); meant != method && std::ranges::find(known, meant) != known.end())
            detail("methods are case-sensitive: this is not " + meant);
    }

    void add_client() {
        const auto connected = asked_.client.text();
        const auto client = exchange_.client_address.text();
        if (client != connected)
            detail("client " + client + ", as the trusted proxy " + connected + " says");
        else if (asked_.client_given)
            detail("client " + client);
        else
            detail("client " + client + ", since --from names no other");
    }

    void add_routes() {
        if (told_.routes) {
            for (const auto& other : told_.routes->passed_over) {
                line("passed over", config_.routes[other.route].name);
                detail(other.why);
            }
        }
        line("route", exchange_.route->entry->name);
        if (const auto* route = matched()) {
            const auto& at = route->position;
            detail(at.file + ":" + std::to_string(at.line) + ":" + std::to_string(at.column));
        }
    }

    /// Nothing if no route took it.
    const config::Route* matched() const {
        const auto& entries = exchange_.view->snapshot->routes->entries;
        const auto* entry = exchange_.route->entry;
        if (entry == &exchange_.view->snapshot->routes->none) return nullptr;
        return &config_.routes[static_cast<std::size_t>(entry - entries.data())];
    }

    void add_filters(std::string_view word, const std::vector<forward::FilterNote>& notes) {
        for (const auto& note : notes) {
            line(word, note.filter);
            for (const auto& effect : note.effects) detail(effect);
            if (note.answers)
                detail("answers");
            else if (note.effects.empty() && word == "filter")
                detail("lets it pass");
        }
    }

    void add_answer(const forward::Answer& answer) {
        line("answer", std::to_string(answer.status));
        if (answer.reason != observe::Reason::none) detail("reason " + std::string(to_string(answer.reason)));
        for (const auto& [name, value] : answer.fields) detail(name + ": " + value);
        for (const auto& [name, value] : exchange_.response_additions) detail(name + ": " + value);
        if (!answer.body.empty())
            detail("body of " + std::to_string(answer.body.size()) + " bytes: " + shown(answer.body));
    }

    void add_server(const upstream::Pool& pool) {
        const auto& endpoint = pool.endpoint(*told_.endpoint);
        line("server", endpoint.server);
        detail("at " + address_of(pool, endpoint));
        add_reason_of_pick(pool);
        out_ += "request to the server:\n";
        add_head(told_.request_head);
        add_filters("response filter", told_.response_filters);
        add_limits(pool);
    }

    void add_pool(const upstream::Pool& pool) {
        line("pool", pool.name());
        const auto policy = exchange_.route->entry->policy;
        const bool of_route = policy != pool.config().balance;
        detail("balance " + std::string(to_string(policy)) + (of_route ? ", the route's own" : ""));
        const auto all = pool.endpoints();
        for (const auto& endpoint : all.first(std::min(all.size(), max_listed_servers))) {
            const auto address = address_of(pool, endpoint);
            auto text = endpoint.server == address ? address : endpoint.server + " at " + address;
            text += ", weight " + std::to_string(endpoint.configured_weight);
            if (endpoint.configured_weight == 0) text += " (no new traffic)";
            if (endpoint.max_connections != 0) text += ", max_connections " + std::to_string(endpoint.max_connections);
            if (endpoint.backup) text += ", backup";
            detail(text);
        }
        if (all.size() > max_listed_servers) detail("and " + std::to_string(all.size() - max_listed_servers) + " more");
    }

    bool is_unresolved(const upstream::Pool& pool, const upstream::Endpoint& endpoint) const {
        const auto& servers = pool.config().servers;
        const auto server = std::ranges::find(servers, endpoint.server, &config::Server::name);
        return server != servers.end() && unresolved_.contains(server->host);
    }

    std::string address_of(const upstream::Pool& pool, const upstream::Endpoint& endpoint) const {
        if (is_unresolved(pool, endpoint)) return endpoint.host + " (does not resolve; taken for one address)";
        return endpoint.text;
    }

    void add_reason_of_pick(const upstream::Pool& pool) {
        auto policy = exchange_.route->entry->policy;
        if (policy == config::Policy::cookie_sticky) {
            const auto& added = exchange_.response_additions;
            const auto cookie = std::ranges::find_if(added, [&](const auto& field) {
                return field.first == "Set-Cookie" && field.second.starts_with(pool.config().cookie.name + "=");
            });
            if (cookie == added.end()) return detail("by the cookie " + pool.config().cookie.name);
            policy = pool.config().cookie.fallback;
            detail("no session yet, so by the fallback " + std::string(to_string(policy)));
            detail("the response gets Set-Cookie: " + cookie->second);
        }
        if (policy == config::Policy::ip_hash)
            add_hash_reason(pool, "by the client's address");
        else if (policy == config::Policy::uri_hash)
            add_hash_reason(pool, "by the path");
        else
            detail("as the first worker of a fresh daemon begins; it goes on by turns and load");
    }

    void add_hash_reason(const upstream::Pool& pool, std::string text) {
        const bool sure = std::ranges::none_of(
            pool.endpoints(), [&](const upstream::Endpoint& endpoint) { return is_unresolved(pool, endpoint); });
        if (!sure) text += "; another one perhaps, once all names resolve";
        detail(text);
    }

    /// Without its last empty line.
    void add_head(std::string_view head) {
        while (!head.empty()) {
            const auto end = head.find("\r\n");
            if (end == 0 || end == std::string_view::npos) return;
            detail(head.substr(0, end));
            head.remove_prefix(end + 2);
        }
    }

    void add_limits(const upstream::Pool& pool) {
        const auto& route = *exchange_.route->entry;
        const auto& timeouts = route.timeouts;
        const auto text = [](config::Milliseconds time) { return base::print_duration(time); };
        auto times = "connect " + text(timeouts.connect) + ", response " + text(timeouts.response) + ", idle " +
                     text(timeouts.idle) + ", queue " + text(timeouts.queue);
        if (exchange_.request.upgrade == http::UpgradeKind::websocket)
            times += ", tunnel_idle " + text(timeouts.tunnel_idle);
        line("timeouts", times);
        add_retries(pool.config().retries);
        if (route.max_body != UINT64_MAX && exchange_.request.framing == http::Framing::chunked)
            line("max_body", base::print_size(route.max_body) + ", counted on the way; then 413");
        if (const auto* configured = matched(); configured != nullptr && route.bandwidth) add_bandwidth(*configured);
    }

    void add_retries(const config::Retries& retries) {
        const std::string method(exchange_.request.method_text);
        if (!upstream::may_repeat(method))
            line("retries", "none once it was sent: " + method + " is not sent twice");
        else
            line("retries", "up to " + std::to_string(retries.attempts) + ", at other servers");
    }

    void add_bandwidth(const config::Route& route) {
        std::string text;
        if (route.bandwidth.per_client != 0) text = base::print_byte_rate(route.bandwidth.per_client) + " per client";
        if (route.bandwidth.total != 0)
            text += (text.empty() ? "" : ", ") + base::print_byte_rate(route.bandwidth.total) + " in all";
        line("bandwidth", text);
    }

    /// An id that was made is another for each request.
    std::string with_request_id_named(std::string text) const {
        const auto& id = exchange_.request_id;
        if (id.empty() || id.data() != exchange_.made_id.data()) return text;
        for (auto at = text.find(id); at != std::string::npos; at = text.find(id, at))
            text.replace(at, id.size(), "{request_id}");
        return text;
    }

    const AskedRequest& asked_;
    const config::Config& config_;
    const forward::Exchange& exchange_;
    const forward::Explanation& told_;
    const std::set<std::string>& unresolved_;
    std::string out_;
};

}  // namespace

std::string explanation_text(const Explained& explained) {
    return Text(explained).take();
}

}  // namespace nsboot_lb::explain
