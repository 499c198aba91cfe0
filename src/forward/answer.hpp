#pragma once
/// Responses that the daemon makes itself: errors, redirects, fixed answers.
#include "nsboot_lb/forward/filter.hpp"
#include "nsboot_lb/forward/worker.hpp"
#include "nsboot_lb/net/task.hpp"

namespace nsboot_lb::forward {

/// "Bad Request" and the like (RFC 9110 15); "Unknown" for a status without a name.
std::string_view reason_phrase(int status);

/// Sends the answer.
net::Task<End> send_answer(Worker& worker, Exchange& exchange, Answer answer);

}  // namespace nsboot_lb::forward
