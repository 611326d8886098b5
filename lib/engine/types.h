/* types.h - the registry of event types that people have named: in memory, and documents in the log. Changed on the writer's thread, read by everybody. */
#ifndef TCI_ENGINE_TYPES_H
#define TCI_ENGINE_TYPES_H

#include <pthread.h>
#include <stdatomic.h>

#include "tipcurrent/activity.h"
#include "tipcurrent/sys/storage.h"

#define TCI_TYPES_MAX 1000

typedef struct tci_type {
  atomic_uint refs;
  int64_t id, created_at_us;
  const char *name, *description; /* in bytes */
  char bytes[];
} tci_type;

typedef struct tci_types {
  pthread_mutex_t mutex;
  tci_type **at; /* by name; references */
  size_t count;
} tci_types;

int tci_types_open(tc_engine *engine);   /* loads; sets engine->types */
int tci_types_reload(tc_engine *engine); /* writer's thread: another node has changed some */
void tci_types_free(tci_types *types);   /* takes NULL */
int tci_types_known(const tc_engine *engine, tc_text name);
/* A reference to the new one, or (*existed = 1) to the one that is there with the same description. */
int tci_types_create(tc_engine *engine, const char *name, const char *description, tci_type **out, int32_t *existed);
int tci_types_remove(tc_engine *engine, const char *name);
/* References to all; tci_free the array after the unrefs. */
int tci_types_all(tc_engine *engine, tci_type ***out, size_t *count);
void tci_type_unref(tci_type *type); /* takes NULL */

#endif
