#include "move/portion.h"

#include <string.h>

#include "base/mem.h"
#include "model/fail.h"

#define BYTES_MAX ((size_t)1 << 31)

tci_portion *tci_portion_new(void) {
  tci_portion *portion = tci_zalloc(sizeof *portion);
  if (portion) tci_buf_init(&portion->bytes, BYTES_MAX);
  return portion;
}

void tci_portion_free(tci_portion *portion) {
  if (!portion) return;
  tci_buf_free(&portion->bytes);
  tci_free(portion);
}

void tci_portion_clear(tci_portion *portion) {
  portion->n = 0;
  portion->rc = TC_OK;
  tci_buf_clear(&portion->bytes);
}

int tci_portion_take(const tc_record *row, void *arg) {
  tci_portion *portion = arg;
  size_t n = portion->n;
  portion->at[n] = *row;
  for (int i = 0; i < TC_COL_COUNT; i++) {
    portion->place[n][i] = portion->bytes.len;
    if (row->text[i].ptr) (void)tci_buf_append(&portion->bytes, row->text[i].ptr, row->text[i].len);
  }
  if (portion->bytes.err) portion->rc = tci_fail(portion->bytes.err, "event %lld: %s", (long long)row->seq, tc_strerror(portion->bytes.err));
  else portion->n++;
  return portion->rc || portion->n == TCI_MOVE_ROWS || portion->bytes.len >= TCI_PORTION_BYTES;
}

void tci_portion_seal(tci_portion *portion) {
  for (size_t i = 0; i < portion->n; i++) {
    for (int j = 0; j < TC_COL_COUNT; j++) {
      tc_text *text = &portion->at[i].text[j];
      if (text->ptr) text->ptr = text->len ? portion->bytes.data + portion->place[i][j] : "";
    }
  }
}

int tci_portion_read(tci_portion *portion, const tci_end *from, int64_t after_seq, int64_t upto_seq) {
  tci_portion_clear(portion);
  if (upto_seq <= after_seq) return TC_OK;
  int64_t left = upto_seq - after_seq;
  int rc = from->ops->read_log(from->storage, after_seq, left < TCI_MOVE_ROWS ? (size_t)left : TCI_MOVE_ROWS, tci_portion_take, portion);
  if (!rc) rc = portion->rc;
  tci_portion_seal(portion);
  for (size_t i = 0; i < portion->n && !rc; i++) {
    if (portion->at[i].seq != after_seq + 1 + (int64_t)i) rc = tci_fail(TC_ECORRUPT, "event %lld is missing", (long long)after_seq + 1 + (long long)i);
  }
  return !rc && !portion->n ? tci_fail(TC_ECORRUPT, "event %lld is missing", (long long)after_seq + 1) : rc;
}

int tci_same_record(const tc_record *a, const tc_record *b) {
  int same = a->seq == b->seq && a->id == b->id && a->created_at_us == b->created_at_us && a->amount == b->amount && a->kind == b->kind && a->ref == b->ref;
  for (int i = 0; i < TC_COL_COUNT && same; i++) {
    const tc_text *x = &a->text[i], *y = &b->text[i];
    same = x->ptr && y->ptr ? x->len == y->len && !memcmp(x->ptr, y->ptr, x->len) : !x->ptr && !y->ptr;
  }
  return same;
}
