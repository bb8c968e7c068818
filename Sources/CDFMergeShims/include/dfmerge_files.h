#ifndef DFMERGE_FILES_H
#define DFMERGE_FILES_H

#include <fcntl.h>
#include <stdint.h>

/* Linux functions and flags that the system headers show only under _GNU_SOURCE, which a header
 * that is imported as a module cannot set for the headers it includes. */
extern int dfmk_fallocate(int descriptor, int mode, int64_t offset,
                          int64_t length) __asm__("fallocate");
extern int dfmk_sync_file_range(int descriptor, int64_t offset, int64_t length,
                                unsigned flags) __asm__("sync_file_range");

/** The flag of open() that passes the page cache by; its value differs between architectures. */
#if defined O_DIRECT
static const int32_t dfmk_open_direct = O_DIRECT;
#else
static const int32_t dfmk_open_direct = __O_DIRECT;
#endif

/** The flag of open() that makes a file without a name in a folder; likewise. */
#if defined O_TMPFILE
static const int32_t dfmk_open_temporary = O_TMPFILE;
#else
static const int32_t dfmk_open_temporary = __O_TMPFILE;
#endif

/** Gives the first `length` bytes of a file their place on the disk and makes the file that long:
 * 0, or -1 with errno set. Unlike posix_fallocate it never writes zeros where the file system
 * cannot do it. */
static inline int dfmk_reserve(int descriptor, int64_t length) {
    return dfmk_fallocate(descriptor, 0, 0, length);
}

/** Lets the disk begin to take the cached bytes of a range, and does not wait for it. */
static inline void dfmk_start_writing(int descriptor, int64_t offset, int64_t length) {
    dfmk_sync_file_range(descriptor, offset, length, 2 /* SYNC_FILE_RANGE_WRITE */);
}

#endif
