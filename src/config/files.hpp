#pragma once
/// Codecs of paths, which look at the file system while loading: what is to be read must be readable and hold what it
/// is for, what is to be written must be writable. They touch nothing if the Reader forbids it.
#include <string>

#include "section.hpp"

namespace nsboot_lb::config {

// Files to read, or "" for none.
/// As htpasswd makes it.
Codec<std::string> password_file();
/// A secret, all of it.
Codec<std::string> key_file();
/// A secret in its first line.
Codec<std::string> token_file();
/// "stdout", "stderr", or a file to append to.
Codec<std::string> log_target();
/// Complains if a socket cannot be made at `path`.
void check_socket_path(const Node& at, const std::string& path, Reader& reader);

}  // namespace nsboot_lb::config
