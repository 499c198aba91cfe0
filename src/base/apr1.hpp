#pragma once
/// Apache's variant of MD5-crypt, which libcrypt does not know. A pure function, private to this floor.
#include <string>
#include <string_view>

namespace nsboot_lb::base {

/// "$apr1$SALT$HASH" as htpasswd -m writes it; empty if the OpenSSL at hand has no MD5.
std::string apr1_hash(std::string_view password, std::string_view salt);

}  // namespace nsboot_lb::base
