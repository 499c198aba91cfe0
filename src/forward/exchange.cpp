#include "nsboot_lb/forward/exchange.hpp"

#include <algorithm>
#include <cstring>

#include "nsboot_lb/forward/worker.hpp"

namespace nsboot_lb::forward {

void HeadBuffer::append(std::string_view bytes) {
    while (capacity_ - size_ < bytes.size()) grow();
    if (!bytes.empty()) std::memcpy(bytes_.get() + size_, bytes.data(), bytes.size());
    size_ += bytes.size();
}

void HeadBuffer::grow() {
    auto larger = std::make_unique_for_overwrite<char[]>(capacity_ * 2);
    std::memcpy(larger.get(), bytes_.get(), size_);
    bytes_ = std::move(larger);
    capacity_ *= 2;
}

void HeadBuffer::clear() {
    size_ = 0;
    if (capacity_ == first_size) return;
    bytes_ = std::make_unique_for_overwrite<char[]>(first_size);
    capacity_ = first_size;
}

http::TemplateValues Exchange::template_values() const {
    http::TemplateValues values;
    values.client_ip = client_ip();
    values.host = http::without_port(request.host);
    values.uri = request.origin_target;
    values.path = request.path;
    values.query = request.query;
    values.scheme = scheme;
    values.request_id = request_id;
    return values;
}

observe::Reason ended_because(const net::Scope& cancelled) {
    return cancelled.cause() == net::Cause::shutting_down ? observe::Reason::shutting_down
                                                          : observe::Reason::client_aborted;
}

void Exchange::clear() {
    head.clear();
    request.clear();
    client = nullptr;
    request_body = nullptr;
    response = nullptr;
    scope = nullptr;
    client_address = {};
    client_text.clear();
    scheme = "http";
    rewritten_target.clear();
    request_id = {};
    view.reset();
    route = nullptr;
    tunnel_view.reset();
    tried.clear();
    unreachable.clear();
    request_additions.clear();
    response_additions.clear();
    host_text.clear();
    settled_request_fields.reset();
    settled_response_fields.reset();
    status = 0;
    reason = observe::Reason::none;
    head_received = 0;
    body_received = {};
    head_sent = 0;
    body_sent = {};
    attempts = 0;
    server = {};
    upgraded = {};
    upstream_duration = {};
    tunnel = nullptr;
}

}  // namespace nsboot_lb::forward
