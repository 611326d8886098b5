/* page.h - one page of a list, and the cursor text that names where the next begins. */
#ifndef TCI_ENGINE_PAGE_H
#define TCI_ENGINE_PAGE_H

#include "engine/engine.h"

#define TCI_CURSOR_TEXT_MAX 64

struct tc_page {
  size_t n;
  int64_t total;
  char next[TCI_CURSOR_TEXT_MAX]; /* "": the end */
  tc_event *events[];
};

/* "createdAtUs.seq", both decimal: readable in a log, and nothing to keep on our side. */
void tci_cursor_format(tc_position position, char out[TCI_CURSOR_TEXT_MAX]);
/* 0, or -1 when text is not a cursor of ours. Pure. */
int tci_cursor_parse(const char *text, tc_position *position);

#endif
