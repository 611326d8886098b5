/* config.c - documents of configuration in memory: one sorted array. */
#include <string.h>

#include "base/mem.h"
#include "storage/memory/memory.h"

/* The place of (kind, id), or where it would stand. */
static size_t place_of(const tci_memory_config *config, uint32_t kind, int64_t id) {
  size_t low = 0, high = config->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    const tci_memory_doc *doc = config->docs[middle];
    if (doc->kind != kind ? doc->kind < kind : doc->id < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

static int stands_at(const tci_memory_config *config, size_t at, uint32_t kind, int64_t id) {
  return at < config->count && config->docs[at]->kind == kind && config->docs[at]->id == id;
}

static int reserve(tci_memory_config *config) {
  if (config->count < config->cap) return TC_OK;
  size_t cap = config->cap ? config->cap * 2 : 16;
  tci_memory_doc **docs = tci_realloc(config->docs, cap * sizeof *docs);
  if (!docs) return TC_ENOMEM;
  config->docs = docs;
  config->cap = cap;
  return TC_OK;
}

static int check_arguments(const tc_storage *storage, uint32_t kind, int64_t id, tc_text doc) {
  const char *wrong = NULL;
  if (!kind || kind > TC_KIND_MAX) wrong = "kind: must be 1 to 63";
  else if (id < 0) wrong = "id: must not be negative";
  else if (!doc.ptr || doc.len > TC_CONFIG_DOC_MAX) wrong = "doc: must be a text of at most 1 MiB";
  if (!wrong) return TC_OK;
  storage->env.fail(TC_EINVAL, "%s", wrong);
  return TC_EINVAL;
}

static void insert(tci_memory_config *config, tci_memory_doc *doc) {
  size_t at = place_of(config, doc->kind, doc->id);
  if (stands_at(config, at, doc->kind, doc->id)) {
    tci_free(config->docs[at]);
  } else {
    memmove(config->docs + at + 1, config->docs + at, (config->count - at) * sizeof *config->docs);
    config->count++;
  }
  config->docs[at] = doc;
  if (doc->id > config->last_id[doc->kind]) config->last_id[doc->kind] = doc->id;
}

int tci_memory_config_put(tc_storage *storage, uint32_t kind, int64_t *id, tc_text doc) {
  tci_memory_config *config = &storage->config;
  int code = check_arguments(storage, kind, *id, doc);
  if (code) return code;
  tci_memory_doc *copy = tci_alloc(sizeof *copy + doc.len);
  if (!copy) return tci_memory_fail(&storage->env);
  copy->kind = kind;
  copy->len = doc.len;
  memcpy(copy->bytes, doc.ptr, doc.len);
  tci_memory_write_lock(storage);
  if (reserve(config)) code = tci_memory_fail(&storage->env);
  else if (!*id && config->last_id[kind] == INT64_MAX) storage->env.fail(code = TC_ESTORAGE, "kind %u has no number left", kind);
  copy->id = *id ? *id : code ? 0 : config->last_id[kind] + 1;
  if (!code) insert(config, copy);
  if (!code) *id = copy->id;
  tci_memory_unlock(storage);
  if (code) tci_free(copy);
  return code;
}

int tci_memory_config_remove(tc_storage *storage, uint32_t kind, int64_t id) {
  tci_memory_config *config = &storage->config;
  tci_memory_write_lock(storage);
  size_t at = place_of(config, kind, id);
  int found = stands_at(config, at, kind, id);
  if (found) {
    tci_free(config->docs[at]);
    config->count--;
    memmove(config->docs + at, config->docs + at + 1, (config->count - at) * sizeof *config->docs);
  }
  tci_memory_unlock(storage);
  if (found) return TC_OK;
  storage->env.fail(TC_ENOTFOUND, "no document of kind %u has id %lld", kind, (long long)id);
  return TC_ENOTFOUND;
}

int tci_memory_config_read(tc_storage *storage, uint32_t kind, tc_config_fn fn, void *arg) {
  const tci_memory_config *config = &storage->config;
  tci_memory_read_lock(storage);
  for (size_t at = place_of(config, kind, INT64_MIN); at < config->count && config->docs[at]->kind == kind; at++) {
    tc_text doc = {config->docs[at]->bytes, config->docs[at]->len};
    if (fn(config->docs[at]->id, doc, arg)) break;
  }
  tci_memory_unlock(storage);
  return TC_OK;
}

int tci_memory_config_last(tc_storage *storage, uint32_t kind, int64_t *id) {
  tci_memory_read_lock(storage);
  *id = kind <= TC_KIND_MAX ? storage->config.last_id[kind] : 0;
  tci_memory_unlock(storage);
  return TC_OK;
}

void tci_memory_config_free(tci_memory_config *config) {
  for (size_t i = 0; i < config->count; i++) tci_free(config->docs[i]);
  tci_free(config->docs);
}
