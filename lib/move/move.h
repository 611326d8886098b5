/* move.h - what the tools that move and check logs share. Each works on backends alone, no engine is open. */
#ifndef TCI_MOVE_MOVE_H
#define TCI_MOVE_MOVE_H

#include "tipcurrent/move.h"
#include "tipcurrent/sys/storage.h"

#define TCI_MOVE_ROWS 4096      /* read and written at a time */
#define TCI_MOVE_NOTES_MAX 1000 /* of a kind */

/* 1: the backend has this function: those at the end of the table may be missing. */
#define TCI_OPS_HAVE(ops, name) ((ops)->size >= offsetof(tc_storage_ops, name) + sizeof((ops)->name) && (ops)->name)

typedef struct tci_move {
  tc_move_options o;
  tc_storage_env env;
  tc_move_counts counts;
} tci_move;

/* A storage that is open. */
typedef struct tci_end {
  const tc_storage_ops *ops;
  tc_storage *storage;
  tc_storage_state state;
} tci_end;

void tci_move_init(tci_move *move, const tc_move_options *options);
/* TC_EUSER: the caller wants it to end. */
int tci_move_progress(tci_move *move, const char *what, int64_t done, int64_t total);
void tci_move_note(const tci_move *move, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* TC_ENOTSUP: no backend serves the URL. */
int tci_move_ops(const char *url, const char *name, const tc_storage_ops **out);
/* To be read beside others. TC_ENOTSUP: its backend cannot. */
int tci_move_look(tci_move *move, const char *url, tci_end *out);
void tci_move_close(tci_end *end); /* takes a zeroed one */

int tci_backup(tci_move *move, const char *url, const char *directory);
int tci_verify(tci_move *move, const char *url);
int tci_import(tci_move *move, const char *from, const char *to);
int tci_migrate(tci_move *move, const char *from, const char *to);
int tci_export(tci_move *move, const char *url, int64_t after_seq, uint64_t kinds, tc_export_fn fn, void *userdata);

#endif
