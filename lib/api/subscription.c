#include "tipcurrent/subscription.h"

#include "api/enter.h"
#include "api/sized.h"
#include "engine/subscription.h"

int tc_subscribe(tc_engine *engine, const tc_sub_options *options, tc_event_fn fn, void *userdata, tc_sub **out) {
  tc_sub_options o = TC_SUB_OPTIONS_INIT;
  TCI_ENTER();
  if (!engine || !out) return tci_fail(TC_EINVAL, "%s: must not be NULL", engine ? "out" : "engine");
  if (options) {
    int rc = tci_sized_in(&o, sizeof o, TCI_SIZED_UP_TO(tc_sub_options, flags), options, "options");
    if (rc) return rc;
  }
  if (o.flags & ~(uint32_t)TC_SUB_AFTER_SEQ) return tci_fail(TC_EINVAL, "flags: 0x%x has bits that are not defined", o.flags);
  if (o.flags & TC_SUB_AFTER_SEQ && o.after_seq < 0) return tci_fail(TC_EINVAL, "after_seq: must not be negative");
  if (atomic_load(&engine->closing)) return tci_fail(TC_ECLOSED, "engine is closing");
  return tci_sub_open(engine, &o, fn, userdata, out);
}

int tc_sub_next(tc_sub *sub, int32_t timeout_ms, tc_event **out) {
  TCI_ENTER();
  if (!sub || !out) return tci_fail(TC_EINVAL, "%s: must not be NULL", sub ? "out" : "sub");
  if (sub->fn) return tci_fail(TC_EINVAL, "sub: it has a callback, there is nothing to pull");
  if (timeout_ms < -1) return tci_fail(TC_EINVAL, "timeout_ms: must be -1 or more");
  if (!sub->engine) return tci_fail(TC_ECLOSED, "the engine is closed");
  int rc = tci_sub_wait(sub, timeout_ms, out);
  if (!rc) tci_fail_clear(); /* what was done here for others may have failed */
  return rc;
}

int tc_sub_fd(tc_sub *sub) { return sub ? sub->fd : -1; }

int64_t tc_sub_seq(tc_sub *sub) { return sub ? atomic_load(&sub->passed_seq) : 0; }

void tc_sub_close(tc_sub *sub) {
  TCI_SHELTER();
  tci_sub_close(sub);
}
