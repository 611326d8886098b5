/* page.h - a page of events as JSON. */
#ifndef TCD_API_PAGE_H
#define TCD_API_PAGE_H

#include "server/exchange.h"

#define TCD_PAGE_MAX_BYTES (64u << 20) /* a page of 1,000 events with all the metadata that fits would be more: 400 asks for a smaller size */

/* An event as GET and lists show it: its JSON, and behind it "refundedAmount" of a tip of which something is refunded. TC_OK, buf->err, or the engine's code. */
int tcd_page_put_event(tci_buf *buf, tc_engine *engine, const tc_event *event);
/* Spring's Page, key for key (a client of the Java service binds to these names). Returns as tcd_page_put_event. */
int tcd_page_put(tci_buf *buf, tc_engine *engine, const tc_page *page, int64_t number, int32_t size);
/* What stands behind "{\"content\":[...]": the rest of such a page. sorted 0: as the Java service has it where the order is in the query's name. */
int tcd_page_put_frame(tci_buf *buf, size_t count, int64_t total, int64_t number, int32_t size, int sorted);
/* The page of a cursor walk: {"content","size","numberOfElements","totalElements","last","next"}. */
int tcd_page_put_keyset(tci_buf *buf, tc_engine *engine, const tc_page *page, int32_t size);

#endif
