#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/timefmt.h"
#include "server/api/query.h"
#include "server/config/list.h"
#include "server/sockjs/state.h"

#define FULL_BYTES (64u << 10)
#define JAVASCRIPT "application/javascript; charset=UTF-8"

static void put_line(const tcd_receiver *receiver, tc_text frame, tci_buf *out) {
  (void)receiver;
  (void)tci_buf_append(out, frame.ptr, frame.len);
  (void)tci_buf_puts(out, "\n");
}

static void put_event(const tcd_receiver *receiver, tc_text frame, tci_buf *out) {
  (void)receiver;
  (void)tci_buf_puts(out, "data: ");
  (void)tci_buf_append(out, frame.ptr, frame.len); /* its strings are escaped: it has no line end */
  (void)tci_buf_puts(out, "\r\n\r\n");
}

/* The frame as a string of a script. Slashes are escaped, or </script> in a message would end it. */
static void put_script(const tcd_receiver *receiver, tc_text frame, tci_buf *out) {
  tci_buf text;
  (void)receiver;
  tci_buf_init(&text, out->max);
  tcd_sockjs_put_string(&text, frame);
  (void)tci_buf_puts(out, "<script>\np(");
  for (size_t at = 0; at < text.len;) {
    const char *slash = memchr(text.data + at, '/', text.len - at);
    size_t end = slash ? (size_t)(slash - text.data) : text.len;
    (void)tci_buf_append(out, text.data + at, end - at);
    if (slash) (void)tci_buf_puts(out, "\\/");
    at = end + (slash != NULL);
  }
  (void)tci_buf_puts(out, ");\n</script>\r\n");
  if (text.err) out->err = text.err;
  tci_buf_free(&text);
}

/* The comment before it keeps a callback from being read as another format's first bytes. */
static void put_call(const tcd_receiver *receiver, tc_text frame, tci_buf *out) {
  (void)tci_buf_printf(out, "/**/%s(", receiver->callback);
  tcd_sockjs_put_string(out, frame);
  (void)tci_buf_puts(out, ");\r\n");
}

#define H16 "hhhhhhhhhhhhhhhh"
#define H256 H16 H16 H16 H16 H16 H16 H16 H16 H16 H16 H16 H16 H16 H16 H16 H16
#define H2048 H256 H256 H256 H256 H256 H256 H256 H256
static const char xhr_prelude[] = H2048 "\n"; /* some browsers show nothing of a response before 2 KiB of it */
static const char eventsource_prelude[] = "\r\n";

static const tcd_transport transports[] = {
  {"xhr", "POST", JAVASCRIPT, NULL, 0, 0, put_line},
  {"xhr_streaming", "POST", JAVASCRIPT, xhr_prelude, sizeof xhr_prelude - 1, 0, put_line},
  {"eventsource", "GET", "text/event-stream", eventsource_prelude, sizeof eventsource_prelude - 1, 0, put_event},
  {"htmlfile", "GET", "text/html; charset=UTF-8", "", 0, 1, put_script},
  {"jsonp", "GET", JAVASCRIPT, NULL, 0, 1, put_call},
};

const tcd_transport *tcd_transport_find(tc_text name) {
  for (size_t i = 0; i < sizeof transports / sizeof transports[0]; i++) {
    if (strlen(transports[i].name) == name.len && !memcmp(transports[i].name, name.ptr, name.len)) return &transports[i];
  }
  return NULL;
}

int tcd_receiver_is_full(const tcd_receiver *receiver) {
  const tcd_outlet *outlet = &receiver->outlet;
  return receiver->over || outlet->done || outlet->own.err || outlet->own.len - outlet->own_sent >= FULL_BYTES;
}

/* Taken whatever its size: what waits in a session has a limit of its own, and a frame that has begun must come with its end. */
static void put(tcd_receiver *receiver, const char *bytes, size_t len) {
  tci_buf *own = tcd_outlet_own(&receiver->outlet);
  size_t max = own->max;
  own->max += own->len + len;
  (void)tci_buf_append(own, bytes, len);
  own->max = max;
  tcd_outlet_wrote(&receiver->outlet);
}

static void put_chunk(tcd_receiver *receiver, tc_text bytes) {
  char size[24];
  if (receiver->chunked) put(receiver, size, (size_t)snprintf(size, sizeof size, "%zx\r\n", bytes.len));
  put(receiver, bytes.ptr, bytes.len);
  if (receiver->chunked) put(receiver, "\r\n", 2);
}

static void put_head(tcd_receiver *receiver, const char *framing) {
  const tcd_front *front = tcd_hub_front(receiver->outlet.sink.hub);
  tci_buf *own = tcd_outlet_own(&receiver->outlet);
  char date[TCI_HTTP_DATE_LEN];
  tci_time_format_http(front->clock.wall_us(front->clock.userdata), date);
  (void)tci_buf_printf(own, "HTTP/1.1 200 OK\r\nDate: %.*s\r\nContent-Type: %s\r\n%s", TCI_HTTP_DATE_LEN, date, receiver->transport->content_type, framing);
  if (!receiver->keep) (void)tci_buf_puts(own, "Connection: close\r\n");
  (void)tci_buf_append(own, receiver->headers.data, receiver->headers.len);
  (void)tci_buf_puts(own, "\r\n");
  if (receiver->headers.err) own->err = receiver->headers.err;
  tci_buf_free(&receiver->headers);
  tcd_outlet_wrote(&receiver->outlet);
}

/* The whole response is put: the session is free for the next one. If there was no memory for it, it stays with this one, whose connection is about to be closed: that interrupts it. */
void tcd_receiver_end(tcd_receiver *receiver) {
  if (receiver->over) return;
  if (receiver->chunked) put(receiver, "0\r\n\r\n", 5);
  if (receiver->outlet.own.err) return;
  receiver->over = 1;
  if (receiver->session) tcd_session_detach(receiver->session, 0);
  if (receiver->keep) tcd_outlet_return(&receiver->outlet);
  else tcd_outlet_finish(&receiver->outlet);
}

void tcd_receiver_frame(tcd_receiver *receiver, tc_text frame) {
  tci_buf text;
  char length[64];
  if (receiver->over) return;
  tci_buf_init(&text, receiver->outlet.own.max + frame.len * 2);
  receiver->transport->put(receiver, frame, &text);
  if (!receiver->transport->prelude) {
    (void)snprintf(length, sizeof length, "Content-Length: %zu\r\n", text.len);
    put_head(receiver, length);
  }
  put_chunk(receiver, (tc_text){text.data, text.len});
  if (text.err) {
    receiver->outlet.own.err = text.err;
    tcd_outlet_wrote(&receiver->outlet);
  }
  receiver->sent += text.len;
  tci_buf_free(&text);
  if (!receiver->transport->prelude || receiver->sent >= receiver->limit) tcd_receiver_end(receiver);
}

static void on_closed(tcd_outlet *outlet) {
  tcd_receiver *receiver = (tcd_receiver *)outlet;
  receiver->over = 1;
  tci_buf_free(&receiver->headers);
  if (receiver->session) tcd_session_detach(receiver->session, 1);
}

static void on_stop(tcd_outlet *outlet) {
  tcd_receiver *receiver = (tcd_receiver *)outlet;
  if (receiver->session) receiver->session->pipe.ops->close(&receiver->session->pipe, 1001, "the server is stopping");
  tcd_receiver_end(receiver);
}

static void on_drained(tcd_outlet *outlet) {
  tcd_session *session = ((tcd_receiver *)outlet)->session;
  if (session) tcd_session_flush(session);
}

/* Deaf: the next request of the connection stays in the socket until this one has been answered. */
static const tcd_outlet_ops outlet_ops = {.closed = on_closed, .stop = on_stop, .drained = on_drained};

static int is_callback_char(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'; }

/* ?c= (or ?callback=) into out; NULL, or what to answer. */
static const char *read_callback(const tcd_request *request, char out[TCD_CALLBACK_MAX + 1]) {
  static const char *const names[] = {"c", "callback"};
  const char *values[2] = {NULL, NULL}, *wrong = "invalid \"callback\" parameter";
  tcd_query_fault fault;
  char *storage = tci_alloc(request->query.len + 1);
  if (!storage || tcd_query_read(request->query, names, 2, values, storage, &fault)) goto done;
  const char *name = values[0] ? values[0] : values[1];
  wrong = "\"callback\" parameter required";
  if (!name || !*name) goto done;
  size_t len = strlen(name);
  wrong = "invalid \"callback\" parameter";
  if (len > TCD_CALLBACK_MAX) goto done;
  for (size_t i = 0; i < len; i++) {
    if (!is_callback_char(name[i])) goto done;
  }
  memcpy(out, name, len + 1);
  wrong = NULL;
done:
  tci_free(storage);
  return wrong;
}

static int wants_close(const tcd_request *request) {
  tc_text value, option;
  if (request->version_minor == 0) return 1;
  if (!tcd_request_header(request, "Connection", &value)) return 0;
  while (tcd_list_next(&value, &option)) {
    if (tcd_text_is(option, "close")) return 1;
  }
  return 0;
}

static void begin_stream(tcd_receiver *receiver) {
  static const char page[] =
    "<!doctype html>\n<html><head>\n  <meta http-equiv=\"X-UA-Compatible\" content=\"IE=edge\" />\n  <meta http-equiv=\"Content-Type\" content=\"text/html; "
    "charset=UTF-8\" />\n</head><body><h2>Don't panic!</h2>\n  <script>\n    document.domain = document.domain;\n    var c = parent.%s;\n    c.start();\n    "
    "function p(d) {c.message(d);};\n    window.onload = function() {c.stop();};\n  </script>\n";
  const tcd_transport *transport = receiver->transport;
  char text[2048];
  put_head(receiver, receiver->chunked ? "Transfer-Encoding: chunked\r\n" : "");
  if (!transport->callback) {
    put_chunk(receiver, (tc_text){transport->prelude, transport->prelude_len});
    return;
  }
  /* More than 1 KiB, or some browsers do not begin to run it. */
  int len = snprintf(text, sizeof text, page, receiver->callback);
  memset(text + len, ' ', sizeof text - (size_t)len);
  memcpy(text + sizeof text - 4, "\r\n\r\n", 4);
  put_chunk(receiver, (tc_text){text, sizeof text});
}

/* The client may have hung up before it asked again, and its request been read before the loop has heard of that: it must not meet itself. */
static void drop_dead(tcd_session *session) {
  tcd_receiver *receiver = session->receiver;
  struct pollfd look = {.fd = receiver->outlet.link.source.fd, .events = POLLRDHUP};
  if (!receiver->outlet.done && poll(&look, 1, 0) <= 0) return;
  tcd_outlet_close(&receiver->outlet);
  tcd_session_detach(session, 1);
}

static void refuse_second(tcd_receiver *receiver) {
  static const char frame[] = "c[2010,\"Another connection still open\"]";
  tcd_receiver_frame(receiver, (tc_text){frame, sizeof frame - 1});
  tcd_receiver_end(receiver);
}

void tcd_receiver_serve(tcd_sockjs *mount, const tcd_transport *transport, tc_text id, const tcd_request *request, tcd_reply *reply) {
  tcd_receiver *receiver = tci_zalloc(sizeof *receiver);
  tcd_session *session = NULL;
  const char *wrong = receiver && transport->callback ? read_callback(request, receiver->callback) : NULL;
  int fresh = 0;
  if (wrong) {
    tci_free(receiver);
    tcd_sockjs_text(reply, 500, wrong);
    return;
  }
  session = tcd_session_find(mount, id);
  if (session && session->receiver) drop_dead(session);
  if (!session && receiver) {
    session = tcd_session_open(mount, id, request->peer);
    fresh = 1;
  }
  if (!session || !receiver) goto fail;
  receiver->transport = transport;
  receiver->limit = mount->options.response_bytes;
  receiver->keep = !wants_close(request);
  receiver->chunked = transport->prelude && request->version_minor >= 1;
  tci_buf_init(&receiver->headers, 8u << 10);
  tcd_sockjs_put_uncached(&receiver->headers);
  tcd_sockjs_put_cors(request, &receiver->headers);
  tcd_sockjs_put_cookie(mount, request, &receiver->headers);
  if (tcd_outlet_take(&receiver->outlet, mount->options.hub, reply, &outlet_ops)) goto fail;
  if (transport->prelude) begin_stream(receiver);
  if (session->receiver) {
    refuse_second(receiver);
  } else {
    tcd_session_attach(session, receiver);
    if (fresh) {
      tcd_receiver_frame(receiver, (tc_text){"o", 1});
      tcd_session_begin(session);
    }
    tcd_session_flush(session);
  }
  tcd_outlet_start(&receiver->outlet);
  return;

fail:
  if (fresh) tcd_session_free(session);
  if (receiver) tci_buf_free(&receiver->headers);
  tci_free(receiver);
  tci_buf_clear(&reply->headers);
  tcd_sockjs_text(reply, 503, "too many sessions, try again");
}
