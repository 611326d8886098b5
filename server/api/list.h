/* list.h - what the lists of events share: their query, and their page. */
#ifndef TCD_API_LIST_H
#define TCD_API_LIST_H

#include "server/exchange.h"

/* What a list's query may carry: up to four filters by kind, and "page", "size", "after" behind them. */
enum { TCD_LIST_FILTERS_MAX = 4, TCD_LIST_PAGING = 3 };

typedef struct tcd_list_query {
  const char *values[TCD_LIST_FILTERS_MAX + TCD_LIST_PAGING]; /* decoded; NULL: not given */
  const char *after;
  int64_t page;
  int32_t size;
  char *storage; /* owned: holds the values; tci_free it */
} tcd_list_query;

/* names: the filters, then page, size, after. 0, or -1 with the reply filled; query->storage is to be freed either way. */
int tcd_list_read(const tcd_request *request, const char *const *names, size_t filters, tcd_list_query *query, tcd_reply *reply);
void tcd_list_answer(tc_engine *engine, const tcd_list_query *query, const tc_page *page, tcd_reply *reply);

#endif
