/* tipcurrent.h - the whole public API of libtipcurrent: the engagement engine for live streaming.
 *
 * common.h        conventions, text, versions        error.h         codes and details
 * engine.h        open, watch, close                 event.h         an event, its fields, its JSON
 * create.h        how creates end, JSON door         tip.h, reaction.h   the two kinds
 * page.h          lists                              subscription.h  follow the log
 * webhook.h       events to other systems
 * Backend authors: tipcurrent/sys/storage.h, with a weaker promise (stable within a minor release).
 *
 * A first program: examples/hello.c.
 */
#ifndef TIPCURRENT_H
#define TIPCURRENT_H

#include "tipcurrent/common.h"
#include "tipcurrent/create.h"
#include "tipcurrent/engine.h"
#include "tipcurrent/error.h"
#include "tipcurrent/event.h"
#include "tipcurrent/page.h"
#include "tipcurrent/reaction.h"
#include "tipcurrent/subscription.h"
#include "tipcurrent/tip.h"
#include "tipcurrent/webhook.h"

#endif
