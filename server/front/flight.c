#include <string.h>

#include "base/mem.h"
#include "server/front/conn.h"

#define KEEP_BYTES (16u << 10) /* larger buffers go back to the allocator with their request */

int tcd_input_take(tcd_front *front, tci_buf *in) {
  tci_buf_init(in, (size_t)front->options.max_head_bytes + TCD_INPUT_BYTES);
  if (!front->spare_input_count) return tci_buf_room(in, TCD_INPUT_BYTES - 1) ? 0 : in->err;
  in->data = front->spare_inputs[--front->spare_input_count];
  in->cap = TCD_INPUT_BYTES;
  return 0;
}

void tcd_input_drop(tcd_front *front, tci_buf *in) {
  if (in->data && in->cap == TCD_INPUT_BYTES && front->spare_input_count < TCD_SPARES_MAX) {
    front->spare_inputs[front->spare_input_count++] = in->data;
    in->data = NULL;
  }
  tci_buf_free(in);
}

static void answer(tcd_task *task) { tcd_conn_answer((tcd_exchange *)((char *)task - offsetof(tcd_exchange, task))); }

void tcd_exchange_complete(tcd_exchange *exchange) {
  exchange->task.run = answer;
  tcd_front_post(exchange->front, &exchange->task);
}

static void deliver(tcd_reply *reply) { tcd_exchange_complete((tcd_exchange *)reply); }

tcd_exchange *tcd_exchange_of(tcd_reply *reply) { return reply->deliver == deliver ? (tcd_exchange *)reply : NULL; }

static void deliver_nothing(tcd_reply *reply) { (void)reply; }

tcd_exchange *tcd_exchange_take(tcd_front *front, tcd_conn *conn, const char *peer) {
  tcd_exchange *exchange = front->spare_exchanges;
  if (exchange) {
    front->spare_exchanges = exchange->next;
    front->spare_exchange_count--;
  } else {
    exchange = tci_zalloc(sizeof *exchange);
    if (!exchange) return NULL;
    exchange->front = front;
    tcd_reply_init(&exchange->reply, NULL);
    tci_buf_init(&exchange->out, exchange->reply.headers.max + (8u << 10)); /* its fields and our own few lines */
  }
  exchange->reply.deliver = deliver;
  exchange->conn = conn;
  exchange->live_prev = NULL;
  exchange->live_next = front->live;
  if (front->live) front->live->live_prev = exchange;
  front->live = exchange;
  memcpy(exchange->peer, peer, strnlen(peer, TCD_PEER_SIZE - 1) + 1);
  exchange->request.peer = exchange->peer;
  memset(&exchange->head, 0, offsetof(tcd_head, headers)); /* a refusal may come before one is read */
  return exchange;
}

static void keep_or_free(tci_buf *buf) {
  if (buf->cap > KEEP_BYTES) tci_buf_free(buf);
  tci_buf_clear(buf);
}

void tcd_exchange_drop(tcd_exchange *exchange) {
  if (!exchange) return;
  tcd_front *front = exchange->front;
  if (exchange->live_prev) exchange->live_prev->live_next = exchange->live_next;
  else front->live = exchange->live_next;
  if (exchange->live_next) exchange->live_next->live_prev = exchange->live_prev;
  tcd_exchange_charge(exchange, 0);
  tcd_input_drop(front, &exchange->in);
  tci_buf_free(&exchange->body);
  if (front->spare_exchange_count == TCD_SPARES_MAX) {
    tcd_reply_clear(&exchange->reply);
    tci_buf_free(&exchange->out);
    tci_free(exchange);
    return;
  }
  tc_event_unref(exchange->reply.event);
  exchange->reply.event = NULL;
  exchange->reply.status = 0;
  exchange->reply.content_type = NULL;
  exchange->reply.close = 0;
  exchange->reply.request = NULL;
  keep_or_free(&exchange->reply.headers);
  keep_or_free(&exchange->reply.body);
  keep_or_free(&exchange->out);
  memset(&exchange->request, 0, sizeof exchange->request);
  exchange->payload = (tc_text){NULL, 0};
  exchange->sent = exchange->used = 0;
  exchange->body_left = 0;
  exchange->resent = 0;
  exchange->next = front->spare_exchanges;
  front->spare_exchanges = exchange;
  front->spare_exchange_count++;
}

void tcd_exchange_charge(tcd_exchange *exchange, uint64_t bytes) {
  tcd_count(&exchange->front->buffered, (int64_t)bytes - (int64_t)exchange->charged);
  exchange->charged = bytes;
}

static void wipe_reply(tcd_reply *reply) {
  tc_event_unref(reply->event);
  reply->event = NULL;
  reply->content_type = NULL;
  tci_buf_free(&reply->headers);
  tci_buf_free(&reply->body);
}

void tcd_exchange_fill_refusal(tcd_exchange *exchange, int status, const char *message, int close) {
  tcd_front *front = exchange->front;
  tcd_reply *reply = &exchange->reply;
  tc_text empty = {"", 0};
  wipe_reply(reply);
  if (!exchange->request.path.ptr) exchange->request.path = empty;
  if (!exchange->request.method.ptr) exchange->request.method = empty;
  if (!exchange->request.target.ptr) exchange->request.target = empty;
  tcd_count(&front->refused, 1);
  reply->status = status;
  reply->close = close;
  reply->deliver = deliver_nothing; /* the app only fills this one */
  front->options.on_refusal(front->options.app, &exchange->request, status, message, reply);
  reply->deliver = deliver;
  if (reply->headers.err || reply->body.err) wipe_reply(reply); /* out of memory: the bare status still says it */
  tc_text lines = {reply->headers.data, reply->headers.len};
  if (status == 503 && (!lines.len || !memmem(lines.ptr, lines.len, "Retry-After:", 12)))
    (void)tci_buf_puts(&reply->headers, "Retry-After: 1\r\n"); /* without memory the client has to guess */
}

void tcd_exchange_refuse(tcd_exchange *exchange, int status, const char *message, int close) {
  tcd_exchange_fill_refusal(exchange, status, message, close);
  tcd_exchange_complete(exchange);
}
