/** \file
 * What every other header of the wrapper needs: the check of the C header, and the namespace.
 */
#ifndef DFMERGE_CONFIG_HPP
#define DFMERGE_CONFIG_HPP

#include <dfmerge.h>

#if defined(_MSVC_LANG) ? _MSVC_LANG < 201703L : __cplusplus < 201703L
#error "dfmerge.hpp needs C++17; compile with -std=c++17 or later"
#endif

static_assert(DFM_ABI_VERSION == 1,
              "dfmerge.hpp is for version 1 of the C interface, but the dfmerge.h that was found "
              "has another; install both from the same release of DFMerge");

/** 1 where the throwing forms exist. Define DFMERGE_NO_EXCEPTIONS to leave them out. */
#if defined(DFMERGE_NO_EXCEPTIONS) || !defined(__cpp_exceptions)
#define DFMERGE_EXCEPTIONS 0
#else
#define DFMERGE_EXCEPTIONS 1
#endif

/* Everything is in an inline namespace that names the release and the kind of error handling: two
 * parts of a program that were built with different ones can be linked together, and a function
 * of one is never taken for that of the other. The language standard is not in it: types do not
 * depend on that. */
#define DFMERGE_JOIN_(a, b, c, d) v##a##_##b##_##c##d
#define DFMERGE_JOIN(a, b, c, d) DFMERGE_JOIN_(a, b, c, d)
#if DFMERGE_EXCEPTIONS
#define DFMERGE_VERSION_NAMESPACE                                                                  \
    DFMERGE_JOIN(DFM_VERSION_MAJOR, DFM_VERSION_MINOR, DFM_VERSION_PATCH, )
#else
#define DFMERGE_VERSION_NAMESPACE                                                                  \
    DFMERGE_JOIN(DFM_VERSION_MAJOR, DFM_VERSION_MINOR, DFM_VERSION_PATCH, _noexcept)
#endif

#define DFMERGE_NAMESPACE_BEGIN                                                                    \
    namespace dfmerge {                                                                            \
    inline namespace DFMERGE_VERSION_NAMESPACE {
#define DFMERGE_NAMESPACE_END                                                                      \
    }                                                                                              \
    }

#endif
