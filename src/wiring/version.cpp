#include "version.hpp"

#include <boost/version.hpp>
#include <fmt/core.h>
#include <openssl/crypto.h>

namespace nsboot_lb::wiring {

std::string version_text() {
    return fmt::format(
        "nsboot-lb {}\n"
        "Boost {}.{}.{}\n"
        "yaml-cpp {}\n"
        "spdlog {}\n"
        "prometheus-cpp {}\n"
        "fmt {}.{}.{}\n"
        "{}\n"
        "compiled by clang {}\n",
        NSBOOT_LB_VERSION, BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000, BOOST_VERSION % 100,
        NSBOOT_LB_YAML_CPP_VERSION, NSBOOT_LB_SPDLOG_VERSION, NSBOOT_LB_PROMETHEUS_VERSION, FMT_VERSION / 10000,
        FMT_VERSION / 100 % 100, FMT_VERSION % 100, OpenSSL_version(OPENSSL_VERSION), __clang_version__);
}

}  // namespace nsboot_lb::wiring
