/** \file
 * Errors: status numbers, the exception classes, and the version handshake's raw material.
 */
#ifndef DFMERGE_ERROR_HPP
#define DFMERGE_ERROR_HPP

#include "config.hpp"

#include <cstdint>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

DFMERGE_NAMESPACE_BEGIN

/** What became of a call: the DFM_ERROR_* numbers of dfmerge.h. A later library may return
 * numbers that are not listed here; error::kind() sorts those too. */
enum class status : std::int32_t {
    ok = DFM_OK,
    invalid_argument = DFM_ERROR_INVALID_ARGUMENT,
    null_pointer = DFM_ERROR_NULL_POINTER,
    wrong_handle = DFM_ERROR_WRONG_HANDLE,
    shape_mismatch = DFM_ERROR_SHAPE_MISMATCH,
    dtype_mismatch = DFM_ERROR_DTYPE_MISMATCH,
    missing_tensor = DFM_ERROR_MISSING_TENSOR,
    unknown_name = DFM_ERROR_UNKNOWN_NAME,
    invalid_option = DFM_ERROR_INVALID_OPTION,
    invalid_state = DFM_ERROR_INVALID_STATE,
    io_failure = DFM_ERROR_IO_FAILURE,
    file_not_found = DFM_ERROR_FILE_NOT_FOUND,
    file_locked = DFM_ERROR_FILE_LOCKED,
    invalid_format = DFM_ERROR_INVALID_FORMAT,
    invalid_json = DFM_ERROR_INVALID_JSON,
    journal_damaged = DFM_ERROR_JOURNAL_DAMAGED,
    journal_mismatch = DFM_ERROR_JOURNAL_MISMATCH,
    unsupported = DFM_ERROR_UNSUPPORTED,
    non_finite = DFM_ERROR_NON_FINITE,
    not_positive_definite = DFM_ERROR_NOT_POSITIVE_DEFINITE,
    all_trials_failed = DFM_ERROR_ALL_TRIALS_FAILED,
    out_of_memory = DFM_ERROR_OUT_OF_MEMORY,
    thread_failure = DFM_ERROR_THREAD_FAILURE,
    cancelled = DFM_ERROR_CANCELLED,
    callback_failed = DFM_ERROR_CALLBACK_FAILED,
    internal_error = DFM_ERROR_INTERNAL_ERROR
};

/** The hundreds of a status number. */
enum class error_kind {
    argument = 1,
    io = 2,
    format = 3,
    numerical = 4,
    resource = 5,
    stopped = 6,
    internal = 9
};

/** An error as a value and as an exception: its number, and a message that states the fact with
 * the offending value, then the remedy. Copying does not throw. */
class error : public std::runtime_error {
public:
    /** An error with this number and message; `cause` is what a callback threw. */
    error(status code, const std::string &message, std::exception_ptr cause = nullptr)
        : std::runtime_error(message), code_(code), cause_(std::move(cause)) {}

    /** The status number. */
    status code() const noexcept { return code_; }

    /** The number's name, such as "shape_mismatch"; "unknown" for one that the library lacks. */
    const char *name() const noexcept { return dfm_status_name(static_cast<dfm_status>(code_)); }

    /** The group of the number; internal for a number outside all groups. */
    error_kind kind() const noexcept {
        const auto hundreds = static_cast<std::int32_t>(code_) / 100;
        return hundreds >= 1 && hundreds <= 6 ? static_cast<error_kind>(hundreds)
                                              : error_kind::internal;
    }

    /** What a callback threw to stop the call, null for every other error. */
    const std::exception_ptr &cause() const noexcept { return cause_; }

#if DFMERGE_EXCEPTIONS
    /** Throws what a callback threw, unchanged, or this error as the class of its kind. */
    [[noreturn]] void raise() const;
#endif

private:
    status code_;
    std::exception_ptr cause_;
};

/** 1xx: an argument is wrong: a value, a name, a shape, an option, or the order of calls. */
class argument_error : public error {
public:
    /** The same error, as this class. */
    explicit argument_error(const error &other) : error(other) {}
};

/** 2xx: a file cannot be read, written, found or locked. */
class io_error : public error {
public:
    /** The same error, as this class. */
    explicit io_error(const error &other) : error(other) {}
};

/** 3xx: a file or a text is not what it should be: damaged, not JSON, or not supported. */
class format_error : public error {
public:
    /** The same error, as this class. */
    explicit format_error(const error &other) : error(other) {}
};

/** 4xx: the numbers do not allow it: NaN, no positive definite matrix, no trial with a score. */
class numerical_error : public error {
public:
    /** The same error, as this class. */
    explicit numerical_error(const error &other) : error(other) {}
};

/** 5xx: memory or threads ran out. */
class resource_error : public error {
public:
    /** The same error, as this class. */
    explicit resource_error(const error &other) : error(other) {}
};

/** 6xx: the host stopped the call, by a cancel_flag or by a callback that asked for it. */
class stopped_error : public error {
public:
    /** The same error, as this class. */
    explicit stopped_error(const error &other) : error(other) {}
};

#if DFMERGE_EXCEPTIONS
inline void error::raise() const {
    if (cause_) std::rethrow_exception(cause_);
    switch (kind()) {
    case error_kind::argument: throw argument_error(*this);
    case error_kind::io: throw io_error(*this);
    case error_kind::format: throw format_error(*this);
    case error_kind::numerical: throw numerical_error(*this);
    case error_kind::resource: throw resource_error(*this);
    case error_kind::stopped: throw stopped_error(*this);
    case error_kind::internal: break;
    }
    throw *this;
}
#endif

DFMERGE_NAMESPACE_END

#endif
