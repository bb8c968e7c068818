/** \file
 * What the wrapper's classes are made of: owned handles, texts in and out.
 */
#ifndef DFMERGE_HANDLE_HPP
#define DFMERGE_HANDLE_HPP

#include "result.hpp"

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

DFMERGE_NAMESPACE_BEGIN

/** A text argument: a literal, std::string, std::string_view, std::filesystem::path, or nullptr
 * where the function says that it is optional. Made by conversion, for the length of one call. */
class cstring {
public:
    /** No text. */
    cstring(std::nullptr_t) noexcept {}
    /** A text that ends with a zero byte; null is no text. */
    cstring(const char *text) noexcept : data_(text) {}
    /** A text, not copied. */
    cstring(const std::string &text) noexcept
        : data_(text.c_str()), has_zero_(std::strlen(data_) != text.size()) {}
    /** A text, copied: a view need not end with a zero byte. */
    cstring(std::string_view text)
        : copy_(text), data_(copy_.c_str()), has_zero_(std::strlen(data_) != copy_.size()) {}
    /** A path, or what else has a native() std::string; not copied. */
    template <class Path,
              class = std::enable_if_t<std::is_same_v<
                  decltype(std::declval<const Path &>().native()), const std::string &>>>
    cstring(const Path &path) noexcept : cstring(path.native()) {}
    cstring(const cstring &) = delete;
    cstring &operator=(const cstring &) = delete;

    /** The characters up to the first zero byte, or null. */
    const char *c_str() const noexcept { return data_; }
    /** Whether a zero byte stands inside, which no C text can hold. */
    bool has_zero() const noexcept { return has_zero_; }

private:
    std::string copy_;
    const char *data_ = nullptr;
    bool has_zero_ = false;
};

namespace detail {

/** The error of this thread's last call, which returned `code`. */
inline error last_error(dfm_status code) {
    return {static_cast<status>(code), dfm_last_error_message()};
}

inline result<void> checked(dfm_status code) {
    if (code == DFM_OK) return {};
    return last_error(code);
}

/** The refusal of a text with a zero byte inside, where `text` is one. */
inline result<void> check_text(const cstring &text, const char *argument) {
    if (!text.has_zero()) return {};
    return error(status::invalid_argument, "'" + std::string(argument) +
                                               "' has a zero byte after '" + text.c_str() +
                                               "'; pass a text without one.");
}

/** A handle of type H that is freed by Free. */
template <class H, void (*Free)(H *)> struct freeing {
    void operator()(H *handle) const noexcept { Free(handle); }
};
template <class H, void (*Free)(H *)> using owned = std::unique_ptr<H, freeing<H, Free>>;

using owned_text = owned<dfm_text, dfm_text_free>;

/** The text that `call(dfm_text **)` hands out. */
template <class Call> result<std::string> text_of(Call &&call) {
    dfm_text *raw = nullptr;
    const dfm_status code = call(&raw);
    const owned_text text(raw);
    if (code != DFM_OK) return last_error(code);
    return std::string(dfm_text_data(text.get()),
                       static_cast<std::size_t>(dfm_text_size(text.get())));
}

/** The text of a function that takes nothing else, after the version check. */
inline result<std::string> description(dfm_status (*describe)(dfm_text **)) {
    if (auto right = try_check_abi(); !right) return right.error();
    return text_of(describe);
}

} // namespace detail

DFMERGE_NAMESPACE_END

/** Inside the wrapper: hands the error of `expression` on. */
#define DFMERGE_TRY(expression)                                                                    \
    do {                                                                                           \
        if (auto dfmerge_outcome = (expression); !dfmerge_outcome) return dfmerge_outcome.error(); \
    } while (false)

#endif
