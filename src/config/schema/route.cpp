/// The table of the configuration: routes, what they match and what they do.
#include <algorithm>
#include <iterator>

#include "files.hpp"
#include "sections.hpp"
#include "special_values.hpp"
#include "texts.hpp"
#include "values.hpp"

namespace nsboot_lb::config {

namespace {

const SectionOf<HeaderCondition>& header_condition_section() {
    static const auto section =
        make_section<HeaderCondition>(
            {"header_condition", "a header condition", "routes[].match.header.NAME",
             "What a header field must be, where it is not an exact value."},
            {
                key("regex", &HeaderCondition::regex, optional_of(text("a regular expression", check_regex)),
                    "The value matches this (RE2) in full."),
                key("present", &HeaderCondition::present, optional_of(boolean()),
                    "true: the field is there, whatever its value; false: it is not."),
            })
            .with_choice({{"regex", "present"}, true, "give exactly one"});
    return section;
}

/// `path`, `path_prefix`, `path_glob` and `path_regex` are one member, told apart by the patterns' kind.
KeyOf<Match> path_key(std::string name, PathMatch kind, std::string text) {
    return computed_key<Match, std::vector<PathPattern>>(
        std::move(name), path_patterns(kind),
        [kind](const Match& match) {
            std::vector<PathPattern> patterns;
            for (const auto& pattern : match.path)
                if (pattern.kind == kind) patterns.push_back(pattern);
            return patterns;
        },
        [](Match& match, std::vector<PathPattern> patterns) {
            match.path.insert(match.path.end(), std::make_move_iterator(patterns.begin()),
                              std::make_move_iterator(patterns.end()));
        },
        std::move(text));
}

Codec<std::vector<std::string>> host_patterns() {
    auto pattern = text("a host", check_host_pattern);
    pattern.read = [read = std::move(pattern.read)](const Node& node, std::string& value, Reader& reader) {
        read(node, value, reader);
        std::ranges::transform(value, value.begin(),
                               [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    };
    return omit_empty(list_of(std::move(pattern), 1));
}

const SectionOf<Match>& match_section() {
    static const auto section =
        make_section<Match>(
            {"match", "match", "routes[].match",
             "Which requests a route takes. All that are given must hold; of the entries of one list, any one. Absent: "
             "every "
             "request. At most one of the four ways to write a path."},
            {
                key("host", &Match::host, host_patterns(),
                    "The request's host, without its port; `*.example.com` takes every name below example.com."),
                path_key("path", PathMatch::exact, "The whole path."),
                path_key("path_prefix", PathMatch::prefix,
                         "The path's beginning, in whole segments: /ws takes /ws and /ws/x, not /wsx."),
                path_key("path_glob", PathMatch::glob,
                         "The whole path, where `*` stands for anything but /, and `**` for anything, such as "
                         "/boot/*.ipxe."),
                path_key("path_regex", PathMatch::regex,
                         "A regular expression (RE2) for the whole path; write .* at an end that does not matter."),
                key("method", &Match::method, omit_empty(list_of(text("a method", check_method), 1)), "The method."),
                key("header", &Match::header, header_matches(header_condition_section()),
                    "Header fields: an exact value, `{regex: ...}`, or `{present: true}`."),
                key("websocket", &Match::websocket, optional_of(boolean()),
                    "Whether it is an `Upgrade: websocket` request.")
                    .default_is("either"),
                key("client", &Match::client, omit_empty(list_of(cidr(), 1)), "The client's address."),
            })
            // Whether two of them mean "and" or "or", readers would have to guess.
            .with_choice(
                {{"path", "path_prefix", "path_glob", "path_regex"}, false, "give one of them, or write two routes"});
    return section;
}

Codec<int> status(int min, int max) {
    const auto wide = whole_number(static_cast<std::uint64_t>(min), static_cast<std::uint64_t>(max));
    return {wide.type,
            [wide](const Node& node, int& value, Reader& reader) {
                auto number = static_cast<std::uint64_t>(value);
                wide.read(node, number, reader);
                value = static_cast<int>(number);
            },
            [](const int& value) { return Node::of_literal(std::to_string(value)); }};
}

const SectionOf<Redirect>& redirect_section() {
    static const auto section = make_section<Redirect>(
        {"redirect", "redirect", "routes[].redirect", "Answers with a redirect."},
        {
            key("to", &Redirect::to, template_text({"host", "uri", "path", "query", "scheme"}), "The Location.")
                .required_as("\"https://{host}{uri}\""),
            key("status", &Redirect::status, status(301, 308), "301, 302, 303, 307 or 308."),
        },
        [](const Node& node, Redirect& redirect, Reader& reader) {
            if (redirect.status > 303 && redirect.status < 307)
                reader.problems().error(node.find("status")->mark,
                                        "status: " + std::to_string(redirect.status) + " is no redirect",
                                        "write 301, 302, 303, 307 or 308");
            if (redirect.to.empty() && node.find("to") != nullptr && node.find("to")->is_scalar() &&
                node.find("to")->text.empty())
                reader.problems().error(node.find("to")->mark, "to: the target is empty",
                                        "write such as \"https://{host}{uri}\"");
        });
    return section;
}

const SectionOf<Respond>& respond_section() {
    static const auto section = make_section<Respond>(
        {"respond", "respond", "routes[].respond", "Answers by itself."},
        {
            key("status", &Respond::status, status(200, 599), "The status."),
            key("body", &Respond::body, free_text("text"), "The body."),
            key("headers", &Respond::headers, fields(printable_text("a value")), "Header fields of the answer."),
        },
        [](const Node& node, Respond& respond, Reader& reader) {
            // RFC 9110 15.3.5, 15.4.5: these statuses have no body.
            if ((respond.status == 204 || respond.status == 304) && !respond.body.empty())
                reader.problems().error(node.find("body")->mark,
                                        "body: an answer of status " + std::to_string(respond.status) + " has no body",
                                        "remove it, or write status: 200");
        });
    return section;
}

const SectionOf<Bandwidth>& bandwidth_section() {
    static const auto section = make_section<Bandwidth>(
        {"bandwidth", "bandwidth", "routes[].bandwidth", "Limits how fast responses are sent."},
        {
            key("per_client", &Bandwidth::per_client, omit_empty(byte_rate()), "For each client address.")
                .default_is("none"),
            key("total", &Bandwidth::total, omit_empty(byte_rate()), "For all clients of the route.")
                .default_is("none"),
        });
    return section;
}

const SectionOf<BasicAuth>& basic_auth_section() {
    static const auto section = make_section<BasicAuth>(
        {"basic_auth", "basic_auth", "routes[].basic_auth", "Asks for a user name and a password."},
        {
            key("file", &BasicAuth::file, password_file(), "A file of users, as htpasswd makes it.")
                .required_as("/etc/nsboot-lb/htpasswd"),
            key("realm", &BasicAuth::realm, text("text", check_realm), "What the user is told this is for."),
        },
        [](const Node& node, BasicAuth&, Reader& reader) {
            if (const auto* file = node.find("file"); file != nullptr && file->is_scalar() && file->text.empty())
                reader.problems().error(file->mark, "file: the path is empty", "name a file");
        });
    return section;
}

const SectionOf<Rewrite>& rewrite_section() {
    static const auto section = make_section<Rewrite>(
        {"rewrite", "rewrite", "routes[].rewrite", "Changes the path that the server is asked for."},
        {
            key("strip_prefix", &Rewrite::strip_prefix, omit_empty(text_or_empty("a path", check_sent_path)),
                "Taken away from the path's beginning, where it is there."),
            key("add_prefix", &Rewrite::add_prefix, omit_empty(text_or_empty("a path", check_sent_path)),
                "Put in front of the path, after the other was taken away."),
        });
    return section;
}

Codec<std::string> header_value() {
    return template_text({"client_ip", "host", "uri", "scheme", "request_id"});
}

const SectionOf<HeaderChanges>& header_changes_section() {
    static const auto section = make_section<HeaderChanges>(
        {"header_changes", "header changes", "routes[].request_headers and routes[].response_headers",
         "Changes to header fields, in the order remove, set, add. Values may hold `{client_ip}`, `{host}`, `{uri}`, "
         "`{scheme}` and `{request_id}`. Fields that frame the message (Content-Length, Transfer-Encoding, Connection "
         "and their like) cannot be changed."},
        {
            key("set", &HeaderChanges::set, fields(header_value()),
                "Fields to replace, or to add where they are not there."),
            key("add", &HeaderChanges::add, fields(header_value()), "Fields to add to what is there."),
            key("remove", &HeaderChanges::remove, omit_empty(list_of(text("a field name", check_changeable_field))),
                "Fields to remove."),
        });
    return section;
}

const SectionOf<RouteTimeouts>& route_timeouts_section() {
    const auto limit = [] { return optional_of(duration()); };
    static const auto section = make_section<RouteTimeouts>(
        {"route_timeouts", "timeouts", "routes[].timeouts", "Replaces the pool's timeouts; what is absent stays."},
        {
            key("connect", &RouteTimeouts::connect, limit(), "As the pool's.").default_is("the pool's"),
            key("response", &RouteTimeouts::response, limit(), "As the pool's.").default_is("the pool's"),
            key("idle", &RouteTimeouts::idle, limit(), "As the pool's.").default_is("the pool's"),
            key("tunnel_idle", &RouteTimeouts::tunnel_idle, limit(), "As the pool's.").default_is("the pool's"),
            key("queue", &RouteTimeouts::queue, optional_of(duration(0ms)), "As the pool's.").default_is("the pool's"),
        });
    return section;
}

}  // namespace

const SectionOf<Route>& route_section() {
    static const auto section =
        make_section<Route>(
            {"route", "a route", "routes[]", "A match and what to do. The first route that matches takes the request."},
            {
                key("name", &Route::name, text("text", check_label), "What logs and metrics call it.")
                    .default_is("route-N, counted from 1"),
                key("match", &Route::match, nested(match_section()), "Which requests it takes.")
                    .default_is("every request"),
                key("pool", &Route::pool, omit_empty(printable_text("the name of a pool")), "The pool that answers."),
                key("redirect", &Route::redirect, optional_of(nested(redirect_section())), "Answers with a redirect."),
                key("respond", &Route::respond, optional_of(nested(respond_section())), "Answers by itself."),
                key("balance", &Route::balance, optional_of(policy()),
                    "Another policy on this route; servers, health and counts stay the pool's.")
                    .default_is("the pool's"),
                key("allow", &Route::allow, omit_empty(list_of(cidr())), "Client addresses that may; others get 403.")
                    .default_is("everybody"),
                key("deny", &Route::deny, omit_empty(list_of(cidr())), "Client addresses that may not; they get 403.")
                    .default_is("nobody"),
                later_key<Route>("rate_limit", "Rate limits that hold here."),
                later_key<Route>("cache", "The cache that answers here."),
                key("max_body", &Route::max_body, optional_of(size_bytes(0, max_size)),
                    "The largest request body; more gets 413.")
                    .default_is("no limit"),
                key("bandwidth", &Route::bandwidth, nested(bandwidth_section()), "How fast responses are sent.")
                    .default_is("no limit"),
                key("basic_auth", &Route::basic_auth, optional_of(nested(basic_auth_section())), "Asks for a password.")
                    .default_is("none"),
                key("reject_content_type", &Route::reject_content_type,
                    omit_empty(list_of(text("a media type", check_media_type))),
                    "A 2xx response of one of these types becomes a 502 (an index page where a kernel was asked for).")
                    .default_is("none"),
                key("timeouts", &Route::timeouts, nested(route_timeouts_section()), "Replaces the pool's timeouts.")
                    .default_is("the pool's"),
                key("rewrite", &Route::rewrite, nested(rewrite_section()), "Changes the path.").default_is("none"),
                key("request_headers", &Route::request_headers, nested(header_changes_section()),
                    "Changes to what the server gets.")
                    .default_is("none"),
                key("response_headers", &Route::response_headers, nested(header_changes_section()),
                    "Changes to what the client gets.")
                    .default_is("none"),
                later_key<Route>("cors", "Cross-origin resource sharing."),
            })
            .with_choice({{"pool", "redirect", "respond"}, true, "give exactly one"});
    return section;
}

}  // namespace nsboot_lb::config
