/* page.h - one page of a list: owns its events. Accessors: any thread (one at a time per page), never block, never fail. */
#ifndef TIPCURRENT_PAGE_H
#define TIPCURRENT_PAGE_H

#include "event.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A page: opaque, of the list functions, until tc_page_free. May outlive the engine. */
typedef struct tc_page tc_page;

/* How many events this page holds: 0 to page_size. Any thread; does not block. */
TC_API size_t tc_page_count(const tc_page *page);
/* The i-th, borrowed from the page; NULL when i is out of range. Any thread; does not block. */
TC_API const tc_event *tc_page_at(const tc_page *page, size_t i);
/* How many events match the query in all, exact at the moment of the read. Any thread; does not block. */
TC_API int64_t tc_page_total(const tc_page *page);
/* The cursor of what comes after this page, for tc_tip_query.after; opaque ASCII, at most 64 bytes, valid for ever. NULL when this is the end. Borrowed from the page. Any thread; does not block. */
TC_API const char *tc_page_next(const tc_page *page);
/* Frees the page and drops its events. NULL is fine. Any thread; does not block. */
TC_API void tc_page_free(tc_page *page);

#ifdef __cplusplus
}
#endif
#endif
