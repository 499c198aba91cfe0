#include "nsboot_lb/admin/status.hpp"

namespace nsboot_lb::admin {

Totals totals_of(const observe::Statistics::View& view) {
    using observe::CodeClass;
    Totals totals;
    for (const auto& [name, block] : view.routes) {
        for (std::size_t method = 0; method < observe::method_count; ++method) {
            const auto sum = [&](CodeClass code) {
                return block->sum([&](const observe::RouteCounters& r) { return r.requests[method][code].value(); });
            };
            for (std::size_t code = 0; code < observe::code_class_count; ++code) {
                totals.requests += sum(static_cast<CodeClass>(code));
            }
            totals.client_errors += sum(CodeClass::client_error);
            totals.server_errors += sum(CodeClass::server_error);
        }
    }
    for (std::size_t i = 0; i < observe::reason_count; ++i) {
        const auto reason = static_cast<observe::Reason>(i);
        totals.rejected +=
            view.workers->sum([&](const observe::WorkerCounters& worker) { return worker.rejected[reason].value(); });
    }
    return totals;
}

}  // namespace nsboot_lb::admin
