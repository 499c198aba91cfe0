#pragma once
/// Boost.Beast's parser with nothing behind it but what it tells of: a second opinion for the fuzz targets, and what
/// the benchmarks measure beside ours. For one message; for the test's thread only.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>

namespace nsboot_lb::beast_opinion {

namespace beast = boost::beast;

inline std::string_view view_of(beast::string_view text) {
    return {text.data(), text.size()};
}

template <bool is_request>
class Parser final : public beast::http::basic_parser<is_request> {
  public:
    Parser() {
        this->header_limit(UINT32_MAX);
        this->body_limit(boost::none);
    }

    /// Reads `bytes` to the end of the message, or of the head unless eager(); what is behind it is left in them.
    beast::error_code read(std::string_view& bytes) {
        beast::error_code error;
        while (!error && !bytes.empty() && !this->is_done()) {
            const auto taken = this->put(boost::asio::buffer(bytes.data(), bytes.size()), error);
            bytes.remove_prefix(taken);
        }
        return error;
    }

    std::string_view method;
    std::string_view target;
    int status = 0;
    int version = 0;                                          ///< 10 or 11
    std::vector<std::pair<std::string, std::string>> fields;  ///< copies, for what was folded is gone after the call
    std::string body;
    bool keeps_fields = true;

  private:
    void on_request_impl(beast::http::verb, beast::string_view name, beast::string_view requested, int spoken,
                         beast::error_code&) override {
        method = view_of(name);
        target = view_of(requested);
        version = spoken;
    }
    void on_response_impl(int code, beast::string_view, int spoken, beast::error_code&) override {
        status = code;
        version = spoken;
    }
    void on_field_impl(beast::http::field, beast::string_view name, beast::string_view value,
                       beast::error_code&) override {
        if (keeps_fields) fields.emplace_back(view_of(name), view_of(value));
    }
    void on_header_impl(beast::error_code&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, beast::error_code&) override {}
    std::size_t on_body_impl(beast::string_view bytes, beast::error_code&) override {
        body += view_of(bytes);
        return bytes.size();
    }
    void on_chunk_header_impl(std::uint64_t, beast::string_view, beast::error_code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view bytes, beast::error_code&) override {
        body += view_of(bytes);
        return bytes.size();
    }
    void on_finish_impl(beast::error_code&) override {}
};

}  // namespace nsboot_lb::beast_opinion
