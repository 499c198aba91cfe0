#pragma once
/// What the admin listener answers: a function from a request to a response, without sockets. Belongs to the
/// AdminServer and is called on the control thread.
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/awaitable.hpp>

#include "nsboot_lb/admin/context.hpp"

namespace nsboot_lb::admin {

/// Views into the request as it was read; absent fields are empty.
struct ApiRequest {
    std::string_view method{};
    std::string_view target{};  ///< origin-form, with its query
    std::string_view host{};
    std::string_view origin{};
    std::string_view authorization{};
    std::string_view body{};
};

struct ApiResponse {
    int status = 200;
    std::string_view content_type = "application/json";
    std::string body{};
    std::string_view allow{};   ///< of a 405
    bool authenticate = false;  ///< of a 401: WWW-Authenticate
};

class Api {
  public:
    /// `token_file` empty: changes need no token. It is read at every change, so a new token needs no reload.
    Api(AdminContext context, std::string token_file);
    void set_token_file(std::string token_file) { token_file_ = std::move(token_file); }
    /// What `request` views has to stay until it is answered.
    boost::asio::awaitable<ApiResponse> handle(ApiRequest request) const;

  private:
    /// Why the request may not change anything; nothing if it may.
    std::optional<ApiResponse> refusal_of_change(const ApiRequest& request) const;

    AdminContext context_;
    std::string token_file_;
};

}  // namespace nsboot_lb::admin
