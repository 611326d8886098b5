/* analytics.h - answers of include/tipcurrent/stats.h as text. Pure. */
#ifndef TCD_API_ANALYTICS_H
#define TCD_API_ANALYTICS_H

#include "server/exchange.h"

typedef struct tcd_stats_frame {
  const char *room;     /* NULL: all rooms, null */
  const char *currency; /* as it was asked for; NULL: it was not */
  size_t limit;         /* rows, of emojis and recipients; the summary is of all */
} tcd_stats_frame;

/* {"roomId","stats":[...],"summary":{...}}, key for key as the Java service's README. Each returns buf->err. */
int tcd_stats_put_periods(tci_buf *buf, const tc_stats *stats, const tcd_stats_frame *frame);
int tcd_stats_put_emojis(tci_buf *buf, const tc_stats *stats, const tcd_stats_frame *frame);
int tcd_stats_put_recipients(tci_buf *buf, const tc_stats *stats, const tcd_stats_frame *frame);

/* RFC 4180, with a header line; the columns are named as the members. Numbers as in JSON, null is empty. A text that a spreadsheet would take for a formula (it begins with = + - @, a tab
 * or a carriage return) gets an apostrophe in front: the one place where what comes out is not what went in. */
int tcd_stats_csv_periods(tci_buf *buf, const tc_stats *stats, const tcd_stats_frame *frame);
int tcd_stats_csv_emojis(tci_buf *buf, const tc_stats *stats, const tcd_stats_frame *frame);
int tcd_stats_csv_recipients(tci_buf *buf, const tc_stats *stats, const tcd_stats_frame *frame);
/* One text of theirs, quoted where it must be. */
void tcd_csv_put_text(tci_buf *buf, const char *text);

#endif
