#pragma once
/// The sections of the configuration that the top level is made of. Each is built once on first use and immutable from
/// then on, so that any thread may use it.
#include "section.hpp"

namespace nsboot_lb::config {

const SectionOf<Listener>& listener_section();
const SectionOf<Pool>& pool_section();
const SectionOf<Route>& route_section();
const SectionOf<Admin>& admin_section();
const SectionOf<Limits>& limits_section();
const SectionOf<ClientTimeouts>& client_timeouts_section();
const SectionOf<Forwarded>& forwarded_section();
const SectionOf<Logging>& logging_section();
const SectionOf<Shutdown>& shutdown_section();

}  // namespace nsboot_lb::config
