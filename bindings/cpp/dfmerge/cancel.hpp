/** \file
 * cancel_flag: stops a search or a merge from another thread.
 */
#ifndef DFMERGE_CANCEL_HPP
#define DFMERGE_CANCEL_HPP

#include "handle.hpp"

DFMERGE_NAMESPACE_BEGIN

/** A stop flag that any thread may raise: calls that were given it end soon with
 * status::cancelled. It may be destroyed before them: they keep their own hold on it. */
class cancel_flag {
public:
    /** A flag, lowered. */
    static result<cancel_flag> try_create() {
        DFMERGE_TRY(try_check_abi());
        dfm_cancel *raw = nullptr;
        DFMERGE_TRY(detail::checked(dfm_cancel_create(&raw)));
        return cancel_flag(raw);
    }

#if DFMERGE_EXCEPTIONS
    /** A flag, lowered. */
    cancel_flag() : cancel_flag(try_create().value()) {}
#endif

    /** Raises the flag. From any thread, while others use it. Fails only for a moved-from flag. */
    result<void> try_request() noexcept { return detail::checked(dfm_cancel_request(native())); }

    /** Lowers the flag, for another run. */
    result<void> try_reset() noexcept { return detail::checked(dfm_cancel_reset(native())); }

#if DFMERGE_EXCEPTIONS
    /** The same as try_request(), throwing. */
    void request() { try_request().value(); }
    /** The same as try_reset(), throwing. */
    void reset() { try_reset().value(); }
#endif

    /** The C handle, which stays this object's; null after a move. */
    dfm_cancel *native() const noexcept { return handle_.get(); }
    /** Takes over a C handle, which dfm_cancel_free would free. */
    static cancel_flag adopt(dfm_cancel *handle) noexcept { return cancel_flag(handle); }

private:
    explicit cancel_flag(dfm_cancel *handle) noexcept : handle_(handle) {}
    detail::owned<dfm_cancel, dfm_cancel_free> handle_;
};

DFMERGE_NAMESPACE_END

#endif
