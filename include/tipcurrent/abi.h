/* abi.h - what a caller that was not compiled with these headers (a binding for another language) can check before it passes a struct.
 *
 * TC_ABI_VERSION is one number for the whole library: it changes when something that exists changes its meaning or its place. What is only added, functions, values, members at the end of
 * sized structs, leaves it as it is.
 */
#ifndef TIPCURRENT_ABI_H
#define TIPCURRENT_ABI_H

#include "common.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TC_ABI_VERSION 1u /* the number in the soname too */

/* Where one member of a public struct lies, as the library was compiled. This struct itself never changes. */
typedef struct tc_abi_member {
  const char *type;      /* "tc_tip_new" */
  const char *name;      /* "room_id"; "": the struct as a whole, offset 0 */
  uint32_t offset_bytes; /* from the struct's beginning */
  uint32_t size_bytes;   /* of the member */
} tc_abi_member;

/* TC_ABI_VERSION of the library at run time. Any thread; does not block. */
TC_API uint32_t tc_abi_version(void);

/* Every member of every public struct but those of sys/, each struct's rows together, the whole first; *count (may be NULL): how many rows. Static. Any thread; does not block. Never NULL. */
TC_API const tc_abi_member *tc_abi_layout(size_t *count);

#ifdef __cplusplus
}
#endif
#endif
