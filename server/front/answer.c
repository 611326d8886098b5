#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/timefmt.h"
#include "server/front/reactor.h"

#define JOINED_MAX 1024 /* bytes of a body that go into one piece with the head */

/* RFC 9110 6.6.1 wants a Date; it is written once a second. */
static const char *date_line(tcd_front *front) {
  int64_t wall_us = front->clock.wall_us(front->clock.userdata), second = wall_us / 1000000;
  if (second != front->date_second || !front->date[0]) {
    tci_time_format_http(wall_us, front->date);
    front->date[TCI_HTTP_DATE_LEN] = '\0';
    front->date_second = second;
  }
  return front->date;
}

static void put(tci_buf *out, const char *bytes, size_t len) { (void)tci_buf_append(out, bytes, len); } /* the error is sticky and looked at once */

#define PUT(out, text) put(out, text, sizeof(text) - 1)

static void put_number(tci_buf *out, uint64_t number) {
  char digits[20], *at = digits + sizeof digits;
  do {
    *--at = (char)('0' + number % 10);
    number /= 10;
  } while (number);
  put(out, at, (size_t)(digits + sizeof digits - at));
}

static void put_status(tci_buf *out, int status) {
  const char *text = tcd_status_text(status);
  PUT(out, "HTTP/1.1 ");
  put_number(out, (uint64_t)status);
  PUT(out, " ");
  put(out, text, strlen(text));
}

int tcd_answer_build(tcd_exchange *exchange, int close) {
  tcd_reply *reply = &exchange->reply;
  tci_buf *out = &exchange->out;
  int bare = reply->status == 204 || reply->status == 304; /* RFC 9110 8.6, 15.4.5: no body, and 204 has no Content-Length either */
  tc_text payload = {reply->body.data, reply->body.len};
  if (reply->headers.err) return reply->headers.err;
  if (reply->body.err) return reply->body.err;
  if (reply->event) payload.ptr = tc_event_json(reply->event, &payload.len);
  tci_buf_clear(out);
  put_status(out, reply->status);
  PUT(out, "\r\nDate: ");
  put(out, date_line(exchange->front), TCI_HTTP_DATE_LEN);
  if (reply->content_type) {
    PUT(out, "\r\nContent-Type: ");
    put(out, reply->content_type, strlen(reply->content_type));
  }
  PUT(out, "\r\n");
  put(out, reply->headers.data, reply->headers.len);
  if (!bare) {
    PUT(out, "Content-Length: ");
    put_number(out, payload.len);
    PUT(out, "\r\n");
  }
  if (close) PUT(out, "Connection: close\r\n");
  else if (!exchange->head.version_minor) PUT(out, "Connection: keep-alive\r\n"); /* what HTTP/1.0 has to be told */
  PUT(out, "\r\n");
  if (bare || tcd_text_is(exchange->request.method, "HEAD")) payload = (tc_text){NULL, 0};
  /* One piece costs the kernel less than a vector of two, and a copy of this length next to nothing. */
  if (payload.len && payload.len <= JOINED_MAX) {
    put(out, payload.ptr, payload.len);
    payload = (tc_text){NULL, 0};
  }
  exchange->payload = payload;
  exchange->sent = 0;
  return out->err;
}

int tcd_answer_send(tcd_exchange *exchange, int fd) {
  size_t head = exchange->out.len, total = head + exchange->payload.len;
  while (exchange->sent < total) {
    struct iovec parts[2];
    struct msghdr message = {.msg_iov = parts};
    size_t done = exchange->sent;
    if (done < head) parts[message.msg_iovlen++] = (struct iovec){exchange->out.data + done, head - done};
    size_t past = done > head ? done - head : 0;
    if (exchange->payload.len > past)
      parts[message.msg_iovlen++] = (struct iovec){(char *)(uintptr_t)exchange->payload.ptr + past, exchange->payload.len - past};
    ssize_t n = message.msg_iovlen == 1 ? send(fd, parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL) : sendmsg(fd, &message, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN ? TCD_SENT_PART : TCD_SENT_FAILED;
    exchange->sent += (size_t)n;
  }
  return TCD_SENT_ALL;
}
