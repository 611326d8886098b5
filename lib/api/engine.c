#include "tipcurrent/engine.h"

#include <string.h>

#include "api/enter.h"
#include "api/sized.h"
#include "engine/engine.h"
#include "engine/open.h"
#include "tipcurrent/webhook.h"

/* These are structs of their own, each with its own size. The copies live as long as the call: the engine copies them again. */
typedef struct hooks {
  tc_clock clock;
  tc_random random;
  tc_log log;
  tc_webhook_options webhooks;
  tc_transport transport;
} hooks;

static int take_webhooks(tc_options *o, hooks *h) {
  if (!o->webhooks) return TC_OK;
  int rc = tci_sized_in(&h->webhooks, sizeof h->webhooks, TCI_SIZED_UP_TO(tc_webhook_options, flags), o->webhooks, "webhooks");
  o->webhooks = &h->webhooks;
  if (rc || !h->webhooks.transport) return rc;
  rc = tci_sized_in(&h->transport, sizeof h->transport, TCI_SIZED_UP_TO(tc_transport, userdata), h->webhooks.transport, "webhooks.transport");
  if (!rc && (!h->transport.begin || !h->transport.abort || !h->transport.poll || !h->transport.wake))
    rc = tci_fail(TC_EINVAL, "webhooks.transport: begin, abort, poll and wake are needed");
  h->webhooks.transport = &h->transport;
  return rc;
}

static int take_hooks(tc_options *o, hooks *h) {
  int rc = TC_OK;
  if (o->clock) {
    rc = tci_sized_in(&h->clock, sizeof h->clock, TCI_SIZED_UP_TO(tc_clock, userdata), o->clock, "clock");
    if (!rc && (!h->clock.wall_us || !h->clock.monotonic_us)) rc = tci_fail(TC_EINVAL, "clock: both functions are needed");
    o->clock = &h->clock;
  }
  if (!rc && o->random) {
    rc = tci_sized_in(&h->random, sizeof h->random, TCI_SIZED_UP_TO(tc_random, userdata), o->random, "random");
    if (!rc && !h->random.fill) rc = tci_fail(TC_EINVAL, "random: fill is needed");
    o->random = &h->random;
  }
  if (!rc && o->log) {
    rc = tci_sized_in(&h->log, sizeof h->log, TCI_SIZED_UP_TO(tc_log, userdata), o->log, "log");
    if (!rc && !h->log.write) rc = tci_fail(TC_EINVAL, "log: write is needed");
    o->log = &h->log;
  }
  return rc;
}

int tc_open(tc_engine **out, const tc_options *options) {
  tc_options o;
  hooks h;
  TCI_ENTER();
  if (!out) return tci_fail(TC_EINVAL, "out: must not be NULL");
  int rc = tci_sized_in(&o, sizeof o, TCI_SIZED_UP_TO(tc_options, storage_ops), options, "options");
  if (rc) return rc;
  if (!o.storage_url) return tci_fail(TC_EINVAL, "storage_url: is required");
  if (o.flags & ~(uint32_t)(TC_MISMATCH_REPLAY | TC_NO_THREADS)) return tci_fail(TC_EINVAL, "flags: 0x%x has bits that are not defined", o.flags);
  if (o.idempotency_ttl_s > 366u * 86400u) return tci_fail(TC_EINVAL, "idempotency_ttl_s: must be at most a year");
  rc = take_hooks(&o, &h);
  if (!rc) rc = take_webhooks(&o, &h);
  return rc ? rc : tci_engine_open(out, &o);
}

void tc_shutdown(tc_engine *engine) {
  TCI_SHELTER();
  if (engine) tci_engine_shutdown(engine);
}

int tc_close(tc_engine *engine) {
  TCI_ENTER();
  if (!engine) return TC_OK;
  if (tci_engine_on_own_thread(engine)) return tci_fail(TC_EINVAL, "an engine cannot be closed from its own callback: use tc_shutdown there");
  tci_engine_free(engine);
  return TC_OK;
}

const char *tc_engine_currency(const tc_engine *engine) { return engine->currency; }

int tc_engine_status(tc_engine *engine, tc_status *out) {
  tc_status status = TC_STATUS_INIT;
  TCI_ENTER();
  if (!engine) return tci_fail(TC_EINVAL, "engine: must not be NULL");
  int rc = tci_sized_in(&status, sizeof status, TCI_SIZED_UP_TO(tc_status, storage_error), out, "out");
  if (rc) return rc;
  tci_engine_read_status(engine, &status);
  size_t size = out->size;
  memcpy(out, &status, size < sizeof status ? size : sizeof status);
  out->size = size;
  return TC_OK;
}

static int check_loop(const tc_engine *engine) {
  if (!engine) return tci_fail(TC_EINVAL, "engine: must not be NULL");
  if (!engine->pump.on) return tci_fail(TC_EINVAL, "the engine runs its own threads: TC_NO_THREADS was not given");
  return TC_OK;
}

/* Whoever is inside a callback is inside the engine already. */
static int check_turn(const tc_engine *engine) {
  int rc = check_loop(engine);
  if (!rc && tci_pump_is_mine(engine)) rc = tci_fail(TC_EINVAL, "an engine cannot be run from its own callback");
  return rc;
}

int tc_engine_poll(tc_engine *engine, int32_t timeout_ms) {
  TCI_ENTER();
  int rc = check_turn(engine);
  if (rc) return rc;
  rc = tci_pump_poll(engine, timeout_ms);
  if (!rc) tci_fail_clear(); /* what went wrong inside was told where it belongs */
  return rc;
}

int tc_engine_tick(tc_engine *engine, int32_t *more) {
  TCI_ENTER();
  int rc = check_turn(engine);
  return rc ? rc : tci_pump_tick(engine, more);
}

int tc_engine_fd(tc_engine *engine) {
  TCI_ENTER();
  return check_loop(engine) ? -1 : engine->pump.epoll_fd;
}
