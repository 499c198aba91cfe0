#pragma once
/// For a thread of the logs' own, at its beginning.
#include <csignal>

namespace nsboot_lb::observe {

/// Signals are the control thread's; and SIGPIPE must stay an error of write().
inline void block_all_signals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

}  // namespace nsboot_lb::observe
