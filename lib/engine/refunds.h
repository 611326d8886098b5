/* refunds.h - how much of each tip is refunded, and whether more may be.
 *
 * Design notes
 *  - A table tip -> sum, read once from the list of refunds (at open, or when the indexes are ready), and kept by the writer after each commit. It holds what is in the log up to a seq
 *    that it knows, so a refund that is committed while it is being read counts once.
 *  - The writer decides: the table is what the log says, and of two refunds of one tip in one batch the later waits for the next batch. So it never decides on what is not yet committed, and
 *    an append whose outcome is unknown is settled before anything is decided after it.
 */
#ifndef TCI_ENGINE_REFUNDS_H
#define TCI_ENGINE_REFUNDS_H

#include "engine/batch.h"

/* Beside an amount that was not named: the request asks for whatever is left, which is another request than the same number. In TC_COL_METADATA, which a refund does not show. */
#define TCI_REFUND_REST "rest"

/* Whether a key is known may take a walk over all of a tip's. */
#define TCI_REFUNDS_OF_TIP_MAX 1000

typedef struct tci_refunds tci_refunds;

int tci_refunds_open(tc_engine *engine); /* sets engine->refunds; reads them if the indexes are ready */
void tci_refunds_free(tci_refunds *refunds);
/* Any thread. What is refunded of the tip with this seq; reads the refunds if nobody has. TC_OK, or what the reading met. */
int tci_refunds_of(tc_engine *engine, int64_t tip_seq, int64_t *amount);
/* Writer: what becomes of the slot of a refund; the batch's slots before it are resolved. */
void tci_refunds_decide(tc_engine *engine, tci_batch *batch, uint32_t index);
/* Writer, after the commit: these are in the log, and in the tail. */
void tci_refunds_follow(tc_engine *engine, tc_event *const *events, size_t n);

#endif
