#include "client_watch.hpp"

namespace nsboot_lb::server {

namespace {

/// How often to look whether the request's body has ended.
constexpr std::chrono::milliseconds body_check{50};

}  // namespace

void ClientWatch::on_event(net::Stream& stream) {
    if (stream.broken()) return scope_.cancel(net::Cause::client_gone);
    // A tunnel passes the end of one direction on. One in the middle of the request's body is seen by who reads that.
    if (!stream.peer_closed() || exchange_.tunnel != nullptr || patience_.armed()) return;
    if (half_closed_ == nullptr && exchange_.request_body->ended()) return scope_.cancel(net::Cause::client_gone);
    acknowledged_ = stream.acknowledged_bytes();
    patience_.arm(limit());
}

/// With no patience at all, what is left of the request's body still gets where it is to go.
net::DeadlineList& ClientWatch::limit() const {
    return half_closed_ != nullptr ? *half_closed_ : stream_.reactor().deadlines().list(body_check);
}

void ClientWatch::patience_is_over(void* self) {
    auto& watch = *static_cast<ClientWatch*>(self);
    if (watch.exchange_.tunnel != nullptr) return;
    const auto acknowledged = watch.stream_.acknowledged_bytes();
    const bool takes_more = watch.half_closed_ != nullptr && acknowledged != watch.acknowledged_;
    if (!takes_more && watch.exchange_.request_body->ended()) return watch.scope_.cancel(net::Cause::client_gone);
    watch.acknowledged_ = acknowledged;
    watch.patience_.arm(watch.limit());
}

}  // namespace nsboot_lb::server
