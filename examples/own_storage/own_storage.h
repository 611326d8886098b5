/* own_storage.h - a storage backend that is not part of the library: built on the public headers alone, and held to the same test suite as the library's own.
 *
 * Everything is kept in memory, and every change is written to one file before it is made: a journal of frames (journal.hpp), each applied to the state (state.hpp) after it is on disk.
 * Opening is reading the file from its beginning. So it fits a log that fits into memory, and the file never gets shorter; what a large log needs (an index behind, `derive`) it does
 * without, which the contract allows.
 */
#ifndef OWN_STORAGE_H
#define OWN_STORAGE_H

#include <tipcurrent/sys/storage.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Serves "journal:PATH". For tc_options.storage_ops. */
const tc_storage_ops *journal_storage_ops(void);

#ifdef __cplusplus
}
#endif

#endif
