#include "hook_kit.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

void host_open(host *h, int backend) {
  memset(h, 0, sizeof *h);
  fake_open(&h->f, 1);
  kit_init(&h->k, backend);
  h->k.options.flags = TC_NO_THREADS;
  h->hooks = (tc_webhook_options)TC_WEBHOOK_OPTIONS_INIT;
  h->hooks.transport = &h->f.ops;
  h->k.options.webhooks = &h->hooks;
  kit_open(&h->k);
}

void host_close(host *h) {
  kit_clean(&h->k);
  fake_close(&h->f);
}

int64_t host_hook(host *h, const char *url, uint32_t flags) {
  tc_webhook_new new_hook = TC_WEBHOOK_NEW_INIT;
  tc_webhook *made = NULL;
  new_hook.url = url;
  new_hook.events = "*";
  new_hook.secret = "s3cret";
  new_hook.flags = flags;
  int rc = tc_webhook_create(h->k.engine, &new_hook, &made, NULL);
  ck_assert_msg(rc == TC_OK, "tc_webhook_create: %s", tc_last_error());
  int64_t id = tc_webhook_id(made);
  tc_webhook_unref(made);
  return id;
}

int host_is_readable(host *h, int timeout_ms) {
  struct pollfd p = {.fd = tc_engine_fd(h->k.engine), .events = POLLIN};
  return poll(&p, 1, timeout_ms);
}

void host_run_idle(host *h) {
  int turns = 0;
  do {
    ck_assert_int_eq(tc_engine_poll(h->k.engine, 0), TC_OK);
    ck_assert_int_lt(turns++, 10000);
  } while (host_is_readable(h, 0));
}

void host_pass_time(host *h, int64_t us) {
  kit_clock_add(us);
  host_run_idle(h);
}

void host_land(host *h, int status) {
  ck_assert_int_gt(fake_flying(&h->f), 0);
  fake_land(&h->f, status);
  ck_assert_int_eq(host_is_readable(h, 0), 1); /* by the transport's own descriptor */
  host_run_idle(h);
}

void host_keep(const tc_webhook_delivery *d, void *userdata) {
  logged *l = userdata;
  ck_assert_int_lt(l->n, 32);
  l->row[l->n].attempt = d->attempt;
  l->row[l->n].status = d->status;
  l->row[l->n].success = d->success;
  l->row[l->n].response_len = d->response.len;
  ck_assert_uint_le(d->response.len, sizeof l->row[0].response);
  if (d->response.ptr) memcpy(l->row[l->n].response, d->response.ptr, d->response.len);
  (void)snprintf(l->row[l->n].error, sizeof l->row[0].error, "%.*s", (int)d->error.len, d->error.ptr ? d->error.ptr : "");
  l->n++;
}

void host_read_log(host *h, int64_t id, logged *out) {
  memset(out, 0, sizeof *out);
  host_pass_time(h, SECOND);
  ck_assert_int_eq(tc_webhook_deliveries(h->k.engine, id, 0, 32, host_keep, out, &out->total), TC_OK);
}

int host_is_enabled(host *h, int64_t id) {
  tc_webhook *now = NULL;
  ck_assert_int_eq(tc_webhook_get(h->k.engine, id, &now), TC_OK);
  int enabled = strstr(tc_webhook_json(now, NULL), "\"enabled\":true") != NULL;
  tc_webhook_unref(now);
  return enabled;
}
