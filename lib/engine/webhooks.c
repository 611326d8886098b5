#include "engine/webhooks.h"

#include <string.h>

#include "base/mem.h"
#include "webhook/sign.h"

static uint32_t or_default(uint32_t value, uint32_t standard) { return value ? value : standard; }

static int read_options(tci_webhooks *w, const tc_webhook_options *o) {
  const char *bad = "";
  w->max_in_flight = or_default(o->max_in_flight, 64);
  w->max_per_endpoint = or_default(o->max_per_endpoint, 8);
  w->connect_ms = or_default(o->connect_timeout_ms, 5000);
  w->total_ms = or_default(o->total_timeout_ms, 10000);
  w->disable_after_us = (int64_t)or_default(o->disable_after_s, 432000) * 1000000;
  w->log_age_us = (int64_t)or_default(o->log_days, 30) * 86400 * 1000000;
  w->log_rows = o->log_rows ? (int64_t)o->log_rows : 1000000;
  w->flags = o->flags;
  w->sealed = o->secret_key != NULL;
  if (o->flags & ~(uint32_t)TC_WEBHOOK_EPOCH_TIME) return tci_fail(TC_EINVAL, "webhooks.flags: 0x%x has bits that are not defined", o->flags);
  if (o->secret_key && tci_seal_key(o->secret_key, w->seal_key)) return tci_fail(TC_EINVAL, "webhooks.secret_key: must be 32 bytes as 64 hex digits or base64");
  if (tci_schedule_read(o->retry_schedule ? o->retry_schedule : "10s,60s", &w->schedule, &bad))
    return tci_fail(TC_EINVAL, "webhooks.retry_schedule: wrong at \"%.32s\"", bad);
  int rc = tci_policy_read(&w->policy, o->allow_receivers, &bad);
  if (rc == TC_EINVAL) return tci_fail(rc, "webhooks.allow_receivers: wrong at \"%.64s\"", bad);
  return rc ? tci_fail(rc, "out of memory for webhooks") : TC_OK;
}

int tci_webhooks_can_send(const tci_webhooks *w) {
  char why[TCI_LIBRARY_WHY_SIZE];
  return w->own_transport && tci_curl_load(why) ? tci_fail(TC_ENOTSUP, "webhooks cannot be sent: %s", why) : TC_OK;
}

int tci_webhooks_open(tc_engine *engine, const tc_webhook_options *options) {
  static const tc_webhook_options standard = TC_WEBHOOK_OPTIONS_INIT;
  tci_webhooks *w = tci_zalloc(sizeof *w);
  if (!w) return tci_fail(TC_ENOMEM, "out of memory for webhooks");
  engine->webhooks = w;
  w->engine = engine;
  w->last_errand = &w->errands;
  tci_ledger_free(&w->ledger); /* which also sets it up */
  if (pthread_mutex_init(&w->mutex, NULL)) return tci_fail(TC_ENOMEM, "cannot make a lock for webhooks");
  w->mutex_made = 1;
  if (!options) options = &standard;
  if (!engine->pump.on && tci_helper_open(&w->helper)) return tci_fail(TC_ENOMEM, "cannot make a lock for webhooks");
  int rc = read_options(w, options);
  if (!rc) rc = tci_hooks_load(w);
  if (!rc && options->transport) {
    w->transport = *options->transport;
  } else if (!rc) {
    rc = tci_curl_open(&w->transport, &w->policy, w->max_in_flight, w->max_per_endpoint, !engine->pump.on);
    if (rc) rc = tci_fail(rc, "cannot set up HTTP for webhooks");
    w->own_transport = !rc;
  }
  /* Here, where files are read anyhow, and not in the turn of a host's loop that sends the first one. Without it the rest goes on: the log of the webhooks says so once more. */
  if (!rc && w->hook_count && tci_webhooks_can_send(w)) tci_engine_log(engine, TC_LOG_ERROR, "%s", tci_fail_detail());
  return rc;
}

int tci_webhooks_start(tci_webhooks *w) {
  int rc = tci_thread_start(&w->thread, "tc-webhooks", tci_webhooks_main, w);
  return rc ? tci_fail(TC_ENOMEM, "cannot start a thread: %s", strerror(rc)) : TC_OK;
}

void tci_webhooks_stop(tci_webhooks *w) {
  if (!w) return;
  atomic_store(&w->stop, 1);
  if (w->thread.started) w->transport.wake(w->transport.userdata);
  tci_thread_join(&w->thread);
}

void tci_webhooks_wake(tc_engine *engine) {
  tci_webhooks *w = engine->webhooks;
  if (!w || !atomic_exchange(&w->armed, 0)) return;
  if (engine->pump.on) tci_pump_ring(engine);
  else w->transport.wake(w->transport.userdata);
}

int tci_webhooks_busy(const tc_engine *engine) { return engine->webhooks && atomic_load_explicit(&engine->webhooks->busy, memory_order_relaxed); }

void tci_webhooks_free(tci_webhooks *w) {
  if (!w) return;
  if (w->own_transport) tci_curl_close(&w->transport);
  tci_targets_free(w);
  tci_helper_close(&w->helper);
  for (size_t i = 0; i < w->hook_count; i++) tci_hook_unref(w->hooks[i]);
  tci_free(w->hooks);
  while (w->errands) {
    tci_errand *errand = w->errands;
    w->errands = errand->next;
    tci_free(errand);
  }
  tci_ledger_free(&w->ledger);
  tci_policy_free(&w->policy);
  if (w->mutex_made) (void)pthread_mutex_destroy(&w->mutex);
  memset(w->seal_key, 0, sizeof w->seal_key);
  tci_free(w);
}
