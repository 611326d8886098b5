/* errands.h - a test or a redelivery that is asked of a node that does not send this webhook: a document of configuration, which the one that does takes up and removes. */
#ifndef TCI_ENGINE_ERRANDS_H
#define TCI_ENGINE_ERRANDS_H

#include "engine/webhooks.h"

/* Any thread but the writer's; durable on return. */
int tci_errands_ask(tci_webhooks *w, int64_t id, int test, const int64_t *seqs, size_t count);
/* Writer's thread: all that are for webhooks whose shares this node holds. TC_EBUSY: some are left. */
int tci_errands_take(tci_webhooks *w);

#endif
