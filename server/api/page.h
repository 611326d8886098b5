/* page.h - a page of events as JSON. */
#ifndef TCD_API_PAGE_H
#define TCD_API_PAGE_H

#include "server/exchange.h"

#define TCD_PAGE_MAX_BYTES (64u << 20) /* a page of 1,000 events with all the metadata that fits would be more: 400 asks for a smaller size */

/* Spring's Page, key for key (a client of the Java service binds to these names). Returns buf->err. */
int tcd_page_put(tci_buf *buf, const tc_page *page, int64_t number, int32_t size);
/* What stands behind "{\"content\":[...]": the rest of such a page. sorted 0: as the Java service has it where the order is in the query's name. */
int tcd_page_put_frame(tci_buf *buf, size_t count, int64_t total, int64_t number, int32_t size, int sorted);
/* The page of a cursor walk: {"content","size","numberOfElements","totalElements","last","next"}. */
int tcd_page_put_keyset(tci_buf *buf, const tc_page *page, int32_t size);

#endif
