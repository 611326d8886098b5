/* tipcurrent.h - the whole public API of libtipcurrent: the engagement engine for live streaming.
 *
 * common.h        conventions, text, versions        error.h         codes and details
 * engine.h        open, watch, close                 event.h         an event, its fields, its JSON
 * create.h        how creates end, JSON door         tip.h, reaction.h, activity.h   what people create
 * refund.h        taking tips back                   goal.h          what a room wants to reach
 * page.h          lists                              subscription.h  follow the log
 * webhook.h       events to other systems            transport.h     a host's own HTTP for them
 * stats.h         numbers over time                 board.h         leaderboards
 * batch.h         many creates in one call          amount.h        decimal text to hundredths
 * abi.h           for bindings: versions, layouts     allocator.h     the memory of a host
 * move.h          backups, checks, exports, migration, import
 * Backend authors: tipcurrent/sys/storage.h, with a weaker promise (stable within a minor release).
 *
 * For C++: tipcurrent.hpp. A first program: examples/hello.c. In a host's own loop: examples/host_loop.c.
 */
#ifndef TIPCURRENT_H
#define TIPCURRENT_H

#include "tipcurrent/abi.h"
#include "tipcurrent/activity.h"
#include "tipcurrent/allocator.h"
#include "tipcurrent/amount.h"
#include "tipcurrent/batch.h"
#include "tipcurrent/board.h"
#include "tipcurrent/common.h"
#include "tipcurrent/create.h"
#include "tipcurrent/engine.h"
#include "tipcurrent/error.h"
#include "tipcurrent/event.h"
#include "tipcurrent/goal.h"
#include "tipcurrent/move.h"
#include "tipcurrent/page.h"
#include "tipcurrent/reaction.h"
#include "tipcurrent/refund.h"
#include "tipcurrent/stats.h"
#include "tipcurrent/subscription.h"
#include "tipcurrent/tip.h"
#include "tipcurrent/transport.h"
#include "tipcurrent/webhook.h"

#endif
