#include "curl_kit.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "tipcurrent/error.h"

static const char *const plain_headers[] = {"Content-Type: application/json", "X-TipCurrent-Event: tip.created", NULL};

static void on_done(tc_send *send, const tc_sent *sent) {
  outcome *out = send->owner;
  client *self = out->of;
  out->times++;
  out->status = sent->status;
  ck_assert_int_lt(snprintf(out->error, sizeof out->error, "%s", sent->error ? sent->error : ""), (int)sizeof out->error);
  ck_assert_uint_lt(sent->response.len, sizeof out->response);
  memcpy(out->response, sent->response.ptr, sent->response.len);
  out->response_len = sent->response.len;
  out->retry_after_us = sent->retry_after_us;
  out->duration_us = sent->duration_us;
  self->done++;
  if (self->chain > 0) {
    self->chain--;
    ck_assert_int_eq(start(self, send->url, send->body, send->total_ms), TC_OK);
  }
}

int start_own(client *self, int at) {
  self->outcomes[at].of = self;
  self->sends[at].size = sizeof self->sends[at];
  self->sends[at].owner = &self->outcomes[at];
  self->sends[at].done = on_done;
  return self->transport.begin(self->transport.userdata, &self->sends[at]);
}

int start(client *self, const char *url, tc_text body, uint32_t total_ms) {
  int at = self->begun;
  ck_assert_int_lt(at, SENDS_MAX);
  ck_assert_int_lt(snprintf(self->urls[at], sizeof self->urls[at], "%s", url), (int)sizeof self->urls[at]);
  self->sends[at] = (tc_send){.url = self->urls[at], .body = body, .headers = plain_headers, .connect_ms = total_ms, .total_ms = total_ms};
  int err = start_own(self, at);
  if (!err) self->begun++;
  return err;
}

client *open_client(const char *allowed, uint32_t max, uint32_t max_per_host) {
  client *self = tci_zalloc(sizeof *self);
  const char *bad = NULL;
  ck_assert_ptr_nonnull(self);
  ck_assert_int_eq(tci_policy_read(&self->policy, allowed, &bad), TC_OK);
  ck_assert_int_eq(tci_curl_open(&self->transport, &self->policy, max, max_per_host, 0), TC_OK);
  return self;
}

void close_client(client *self) {
  tci_curl_close(&self->transport);
  for (int i = 0; i < self->begun; i++) ck_assert_int_le(self->outcomes[i].times, 1);
  tci_policy_free(&self->policy);
  tci_free(self);
}

void run_until(client *self, int done) {
  int64_t late_us = tci_sys_monotonic_us(NULL) + PATIENCE_US;
  while (self->done < done) {
    ck_assert_msg(tci_sys_monotonic_us(NULL) < late_us, "%d of %d done", self->done, done);
    ck_assert_int_eq(self->transport.poll(self->transport.userdata, 1000), TC_OK);
  }
}

const char *url_of(const char *host, const receiver *to, const char *path) {
  static char url[200];
  ck_assert_int_lt(snprintf(url, sizeof url, "http://%s:%d%s", host, receiver_port(to), path), (int)sizeof url);
  return url;
}

const outcome *deliver_within(client *self, const char *url, uint32_t total_ms) {
  int at = self->begun;
  ck_assert_int_eq(start(self, url, BODY, total_ms), TC_OK);
  int64_t late_us = tci_sys_monotonic_us(NULL) + PATIENCE_US;
  while (!self->outcomes[at].times) {
    ck_assert_int_lt(tci_sys_monotonic_us(NULL), late_us);
    ck_assert_int_eq(self->transport.poll(self->transport.userdata, 1000), TC_OK);
  }
  return &self->outcomes[at];
}

const outcome *deliver(client *self, const char *url) { return deliver_within(self, url, 20000); }
