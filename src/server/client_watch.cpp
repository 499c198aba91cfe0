#include "client_watch.hpp"

namespace nsboot_lb::server {

void ClientWatch::on_event(net::Stream& stream) {
    if (stream.broken()) return scope_.cancel(net::Cause::client_gone);
    // A tunnel passes the end of one direction on. One in the middle of the request's body is seen by who reads that.
    if (!stream.peer_closed() || exchange_.tunnel != nullptr || patience_.armed()) return;
    if (half_closed_ == nullptr) {
        if (exchange_.request_body->ended()) scope_.cancel(net::Cause::client_gone);
        return;
    }
    acknowledged_ = stream.acknowledged_bytes();
    patience_.arm(*half_closed_);
}

void ClientWatch::patience_is_over(void* self) {
    auto& watch = *static_cast<ClientWatch*>(self);
    if (watch.exchange_.tunnel != nullptr) return;
    const auto acknowledged = watch.stream_.acknowledged_bytes();
    if (acknowledged == watch.acknowledged_ && watch.exchange_.request_body->ended())
        return watch.scope_.cancel(net::Cause::client_gone);
    watch.acknowledged_ = acknowledged;
    watch.patience_.arm(*watch.half_closed_);
}

}  // namespace nsboot_lb::server
