#pragma once
/// Which bytes of a representation a request asks for, and whether its preconditions hold (RFC 9110 13 and 14). Pure
/// functions: any thread may call.
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/verb.hpp>

namespace nsboot_lb::standin {

struct Representation {
    std::uint64_t size_bytes = 0;
    std::string_view etag;  ///< a strong one, with its quotes
    std::time_t last_modified = 0;
};

struct Selection {
    boost::beast::http::status status = boost::beast::http::status::ok;  ///< 200, 206, 304, 412 or 416
    std::uint64_t first = 0;                                             ///< of 200 and 206
    std::uint64_t length_bytes = 0;
};

Selection select(boost::beast::http::verb method, const boost::beast::http::fields& request,
                 const Representation& representation);

/// RFC 9110 5.6.7: written as IMF-fixdate, read in all three forms.
std::string http_date(std::time_t time);
std::optional<std::time_t> parse_http_date(std::string_view text);

}  // namespace nsboot_lb::standin
