/** \file
 * result<T>: a value or an error, in the manner of C++23's std::expected.
 */
#ifndef DFMERGE_RESULT_HPP
#define DFMERGE_RESULT_HPP

#include "error.hpp"

#include <cstdlib>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

DFMERGE_NAMESPACE_BEGIN

namespace detail {

/** What value() does where there is none. */
[[noreturn]] inline void no_value(const dfmerge::error &why) {
#if DFMERGE_EXCEPTIONS
    why.raise();
#else
    static_cast<void>(why);
    std::abort();
#endif
}

} // namespace detail

/** What a call that can fail returns: its value, or the error.
 *
 * Reading the wrong one of the two: value() throws the error (without exceptions it aborts), `*`
 * and `->` are undefined, error() aborts. */
template <class T> class [[nodiscard]] result {
public:
    /** Type of the value. */
    using value_type = T;

    /** A result with a value. */
    result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
    /** A result with an error. */
    result(dfmerge::error failure) : content_(std::in_place_index<1>, std::move(failure)) {}

    /** Whether there is a value. */
    bool has_value() const noexcept { return content_.index() == 0; }
    /** Whether there is a value. */
    explicit operator bool() const noexcept { return has_value(); }

    /** The value; throws the error where there is none. */
    T &value() & { return check(), *std::get_if<0>(&content_); }
    /** The value; throws the error where there is none. */
    const T &value() const & { return check(), *std::get_if<0>(&content_); }
    /** The value, moved out; throws the error where there is none. */
    T &&value() && { return check(), std::move(*std::get_if<0>(&content_)); }

    /** The value, or another one where there is none. */
    template <class U> T value_or(U &&other) const & {
        return has_value() ? **this : static_cast<T>(std::forward<U>(other));
    }
    /** The value, moved out, or another one where there is none. */
    template <class U> T value_or(U &&other) && {
        return has_value() ? std::move(**this) : static_cast<T>(std::forward<U>(other));
    }

    /** The value, which must be there. */
    T &operator*() & noexcept { return *std::get_if<0>(&content_); }
    /** The value, which must be there. */
    const T &operator*() const & noexcept { return *std::get_if<0>(&content_); }
    /** The value, moved out, which must be there. */
    T &&operator*() && noexcept { return std::move(*std::get_if<0>(&content_)); }
    /** A member of the value, which must be there. */
    T *operator->() noexcept { return std::get_if<0>(&content_); }
    /** A member of the value, which must be there. */
    const T *operator->() const noexcept { return std::get_if<0>(&content_); }

    /** The error, which must be there: see has_value(). */
    const dfmerge::error &error() const {
        if (has_value()) std::abort();
        return *std::get_if<1>(&content_);
    }

private:
    void check() const {
        if (!has_value()) detail::no_value(*std::get_if<1>(&content_));
    }
    std::variant<T, dfmerge::error> content_;
};

/** Success, or the error. */
template <> class [[nodiscard]] result<void> {
public:
    /** There is no value. */
    using value_type = void;

    /** Success. */
    result() = default;
    /** A result with an error. */
    result(dfmerge::error failure) : failure_(std::move(failure)) {}

    /** Whether the call succeeded. */
    bool has_value() const noexcept { return !failure_; }
    /** Whether the call succeeded. */
    explicit operator bool() const noexcept { return has_value(); }

    /** Throws the error where there is one. */
    void value() const {
        if (failure_) detail::no_value(*failure_);
    }

    /** The error, which must be there: see has_value(). */
    const dfmerge::error &error() const {
        if (!failure_) std::abort();
        return *failure_;
    }

private:
    std::optional<dfmerge::error> failure_;
};

/** The library's version, such as "0.1.0"; DFM_VERSION is that of the header. */
inline const char *version() noexcept { return dfm_version(); }

/** The version of the library's C interface; DFM_ABI_VERSION is that of the header. */
inline std::int32_t abi_version() noexcept { return dfm_abi_version(); }

/** Fails with status::unsupported where the library that was loaded has another C interface than
 * the header that was compiled. Everything that makes a handle checks this first. */
inline result<void> try_check_abi() {
    if (abi_version() == DFM_ABI_VERSION) return {};
    return error(status::unsupported,
                 "The loaded libdfmerge has version " + std::to_string(abi_version()) +
                     " of the C interface (library " + version() +
                     "), but the program was "
                     "compiled for version " +
                     std::to_string(DFM_ABI_VERSION) +
                     " (" DFM_VERSION
                     "); compile it again, or load the library that it was compiled for.");
}

#if DFMERGE_EXCEPTIONS
/** The same as try_check_abi(); throws format_error. */
inline void check_abi() { try_check_abi().value(); }
#endif

DFMERGE_NAMESPACE_END

#endif
