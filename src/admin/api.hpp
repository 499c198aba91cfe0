#pragma once
/// What the admin listener answers: a function from a request to a response, without sockets. Belongs to the
/// AdminServer and is called on the control thread.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "nsboot_lb/admin/context.hpp"
#include "nsboot_lb/config/config.hpp"

namespace nsboot_lb::admin {

/// Views into the request as it was read; absent fields are empty.
struct ApiRequest {
    std::string_view method{};
    std::string_view target{};  ///< origin-form, with its query
    std::string_view host{};
    std::string_view origin{};
    std::string_view fetch_site{};  ///< Sec-Fetch-Site
    std::string_view authorization{};
    std::string_view body{};
    bool local = false;  ///< came by a unix socket, which no page can
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
    Api(AdminContext context, const config::Admin& access);
    void set_access(const config::Admin& access);
    /// What `request` views has to stay until it is answered.
    boost::asio::awaitable<ApiResponse> handle(ApiRequest request) const;

  private:
    std::optional<ApiResponse> refusal_by_token(const ApiRequest& request) const;
    /// Why the request may not change anything; nothing if it may.
    std::optional<ApiResponse> refusal_of_change(const ApiRequest& request) const;
    std::optional<ApiResponse> refusal_by_host(const ApiRequest& request) const;

    AdminContext context_;
    /// Empty: changes need no token. It is read at every change, so a new token needs no reload.
    std::string token_file_;
    std::vector<std::string> hosts_;
};

}  // namespace nsboot_lb::admin
