/** \file
 * DFMerge for C++17: a header-only layer over the C interface in dfmerge.h.
 *
 * What it adds: handles that free themselves (move-only), lambdas as callbacks, spans, options
 * without quoting by hand, and errors as exceptions or as values. What it does not add: anything
 * that computes. Link with -ldfmerge (pkg-config dfmerge, or CMake's dfmerge::dfmerge).
 *
 * **Two forms of every call that can fail.** `try_x()` returns a dfmerge::result and throws
 * nothing of its own (std::bad_alloc excepted); `x()` does the same and throws a dfmerge::error.
 * With -fno-exceptions, or with DFMERGE_NO_EXCEPTIONS defined, only the first form exists.
 * -fno-rtti is fine either way.
 *
 * **Texts** that the library hands out (descriptions, results, reports) are JSON in a
 * std::string, for the JSON library of your choice. Texts that it takes may be literals,
 * std::string, std::string_view or std::filesystem::path, in UTF-8; one with a zero byte inside
 * is refused, never cut short.
 *
 * **Lifetimes.** dfmerge::weights lends memory, it never copies: what was lent must stay in place
 * until the weights, and every search made from them, are gone. A search owns its callbacks; what
 * they capture by reference must outlive the runs.
 *
 * **Threads.** A handle is used by one thread at a time, but for dfmerge::cancel_flag and
 * dfmerge::optimizer. Callbacks run on the thread that made the call.
 *
 * **Moved-from** handles may be assigned to and destroyed; every other call on one fails with
 * status::null_pointer and does nothing.
 */
#ifndef DFMERGE_HPP
#define DFMERGE_HPP

#include "dfmerge/cancel.hpp"
#include "dfmerge/dtype.hpp"
#include "dfmerge/error.hpp"
#include "dfmerge/json.hpp"
#include "dfmerge/merge.hpp"
#include "dfmerge/optimizer.hpp"
#include "dfmerge/result.hpp"
#include "dfmerge/search.hpp"
#include "dfmerge/span.hpp"
#include "dfmerge/weights.hpp"

#endif
