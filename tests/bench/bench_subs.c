#include "bench_subs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench_util.h"

enum {
  PUBLISHERS = 8,
  MESSAGES_MAX = 1 << 22,
  READ_BYTES = 256 << 10,
  STALLED_BUFFER = 4096,
  PATIENCE_US = 20000000,
  PAYLOAD_MIN = 64,
  PENDING_BYTES = 1 << 16,
  LINE_BYTES = 1024,
  ANSWER_BYTES = 1 << 17
};

typedef struct subscriber {
  int fd;
  uint32_t got;  /* frames */
  uint32_t left; /* bytes of the payload that is being read */
  uint8_t head[10], head_len;
} subscriber;

typedef struct publisher {
  int fd, busy;
  size_t answer_len;
  char answer[ANSWER_BYTES];
} publisher;

struct bench_subs {
  bench_subs_options options;
  int epoll_fd;
  subscriber *readers, *stalled;
  publisher publishers[PUBLISHERS];
  unsigned publisher_count;
  uint32_t *missing;  /* by message: how many readers do not have it yet */
  int64_t *posted_us; /* by message */
  uint64_t posted, done, reads, frames;
  uint32_t *latency_us; /* of done messages */
  uint64_t seed;
  char *buffer;
  /* What is published in one turn goes in one send, to the bare loop as to the server: or a sweep would start with the first message and leave the rest to the next. */
  char *pending;
  size_t pending_len;
  char frame[BENCH_FRAME_MAX]; /* the first reader's newest */
  size_t frame_len;
};

static int dial(uint16_t port, int receive_bytes) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) bench_die("socket: %s", strerror(errno));
  if (receive_bytes && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes)) bench_die("SO_RCVBUF: %s", strerror(errno));
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on)) bench_die("TCP_NODELAY: %s", strerror(errno));
  if (connect(fd, (struct sockaddr *)&address, sizeof address)) bench_die("connect: %s", strerror(errno));
  return fd;
}

static void send_all(int fd, const char *data, size_t len) {
  while (len) {
    ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) bench_die("send: %s", strerror(errno));
    data += n;
    len -= (size_t)n;
  }
}

static void send_frame(int fd, const char *text, size_t len) {
  char frame[512] = {(char)0x81};
  size_t at = 2;
  if (len > 125) bench_die("a frame too long for this client");
  frame[1] = (char)(0x80 | len);
  memset(frame + at, 0, 4); /* a mask of zeros */
  memcpy(frame + at + 4, text, len);
  send_all(fd, frame, at + 4 + len);
}

/* Reads until the text has come; what comes behind it must be nothing. */
static void read_until(int fd, const char *text, size_t text_len) {
  char buffer[4096];
  size_t len = 0;
  while (!memmem(buffer, len, text, text_len)) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    if (len == sizeof buffer || poll(&ready, 1, 10000) != 1) bench_die("a subscriber waits in vain");
    ssize_t n = recv(fd, buffer + len, sizeof buffer - len, 0);
    if (n <= 0) bench_die("a subscriber was sent away");
    len += (size_t)n;
  }
}

static void subscribe(int fd, int bare) {
  static const char handshake[] =
    "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
    "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: v12.stomp\r\n\r\n";
  static const char connect_frame[] = "CONNECT\naccept-version:1.2\nheart-beat:0,0\n\n";
  static const char subscribe_frame[] = "SUBSCRIBE\nid:sub-0\ndestination:/topic/rooms/stadium\nreceipt:r\n\n";
  if (bare) {
    send_all(fd, "S", 1);
    read_until(fd, "+", 1);
    return;
  }
  send_all(fd, handshake, sizeof handshake - 1);
  send_frame(fd, connect_frame, sizeof connect_frame);
  send_frame(fd, subscribe_frame, sizeof subscribe_frame);
  read_until(fd, "receipt-id:r\n\n", 15); /* with its NUL */
}

static void watch(bench_subs *subs, int fd, void *what) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};
  if (fcntl(fd, F_SETFL, O_NONBLOCK) || epoll_ctl(subs->epoll_fd, EPOLL_CTL_ADD, fd, &event)) bench_die("epoll: %s", strerror(errno));
}

bench_subs *bench_subs_open(const bench_subs_options *options) {
  bench_subs *subs = bench_alloc(1, sizeof *subs);
  subs->options = *options;
  subs->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  subs->readers = bench_alloc(options->count + 1, sizeof *subs->readers);
  subs->stalled = bench_alloc(options->stalled + 1, sizeof *subs->stalled);
  subs->missing = bench_alloc(MESSAGES_MAX, sizeof *subs->missing);
  subs->posted_us = bench_alloc(MESSAGES_MAX, sizeof *subs->posted_us);
  subs->latency_us = bench_alloc(MESSAGES_MAX, sizeof *subs->latency_us);
  subs->buffer = bench_alloc(READ_BYTES, 1);
  subs->pending = bench_alloc(PENDING_BYTES, 1);
  subs->seed = (uint64_t)bench_now_us();
  for (unsigned i = 0; i < options->count; i++) {
    subs->readers[i].fd = dial(options->port_count ? options->ports[i % options->port_count] : options->port, 0);
    subscribe(subs->readers[i].fd, options->bare);
    watch(subs, subs->readers[i].fd, &subs->readers[i]);
  }
  for (unsigned i = 0; i < options->stalled; i++) {
    subs->stalled[i].fd = dial(options->port, STALLED_BUFFER);
    subscribe(subs->stalled[i].fd, options->bare);
  }
  subs->publisher_count = options->bare ? 1 : PUBLISHERS;
  for (unsigned i = 0; i < subs->publisher_count; i++) {
    subs->publishers[i].fd = dial(options->port, 0);
    if (options->bare) send_all(subs->publishers[i].fd, "P", 1);
    else watch(subs, subs->publishers[i].fd, &subs->publishers[i]);
  }
  return subs;
}

void bench_subs_close(bench_subs *subs) {
  for (unsigned i = 0; i < subs->options.count; i++) close(subs->readers[i].fd);
  for (unsigned i = 0; i < subs->options.stalled; i++) close(subs->stalled[i].fd);
  for (unsigned i = 0; i < subs->publisher_count; i++) close(subs->publishers[i].fd);
  close(subs->epoll_fd);
  free(subs->readers);
  free(subs->stalled);
  free(subs->missing);
  free(subs->posted_us);
  free(subs->latency_us);
  free(subs->buffer);
  free(subs->pending);
  free(subs);
}

size_t bench_subs_frame(const bench_subs *subs, char *out) {
  memcpy(out, subs->frame, subs->frame_len);
  return subs->frame_len;
}

static publisher *idle_publisher(bench_subs *subs) {
  for (unsigned i = 0; i < subs->publisher_count; i++) {
    if (!subs->publishers[i].busy) return &subs->publishers[i];
  }
  return NULL;
}

/* To the server as one POST of a batch, the way for a publisher that has many. */
static void flush_pending(bench_subs *subs, publisher *by) {
  char head[256];
  if (!subs->options.bare) {
    int len =
      snprintf(head, sizeof head, "POST /api/tips:batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nContent-Length: %zu\r\n\r\n",
               subs->pending_len);
    by->busy = 1;
    by->answer_len = 0;
    send_all(by->fd, head, (size_t)len);
  }
  send_all(by->fd, subs->pending, subs->pending_len);
  subs->pending_len = 0;
}

static void publish(bench_subs *subs) {
  char *at = subs->pending + subs->pending_len;
  bench_tip tip;
  uint64_t n = subs->posted++;
  if (n >= MESSAGES_MAX) bench_die("more messages than this benchmark has room for");
  bench_tip_make(&tip, subs->seed, n, BENCH_SENDERS);
  memcpy(tip.room, "stadium", 8);
  size_t len = bench_tip_json(&tip, at + 4, LINE_BYTES - 5, !subs->options.bare);
  subs->missing[n] = subs->options.count;
  subs->posted_us[n] = bench_now_us();
  if (subs->options.bare) { /* its protocol: a length, and the bytes that it does not look at */
    uint32_t size = (uint32_t)len;
    memcpy(at, &size, 4);
    subs->pending_len += 4 + len;
  } else {
    memmove(at, at + 4, len);
    at[len] = '\n';
    subs->pending_len += len + 1;
  }
}

static void read_answer(publisher *by) {
  static const char created[] = "{\"status\":201,";
  ssize_t n = recv(by->fd, by->answer + by->answer_len, sizeof by->answer - 1 - by->answer_len, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) bench_die("the publisher was sent away");
  by->answer_len += (size_t)n;
  by->answer[by->answer_len] = '\0';
  const char *end = strstr(by->answer, "\r\n\r\n"), *length = strstr(by->answer, "Content-Length: ");
  if (!end || !length) return;
  if (strncmp(by->answer, "HTTP/1.1 200 ", 13) != 0) bench_die("a batch was answered %.40s", by->answer);
  if (by->answer_len < (size_t)(end + 4 - by->answer) + strtoul(length + 16, NULL, 10)) return;
  for (const char *line = end + 4; *line; line = strchr(line, '\n') + 1) {
    if (strncmp(line, created, sizeof created - 1) != 0 || !strchr(line, '\n')) bench_die("a tip was answered %.60s", line);
  }
  by->busy = 0;
}

static void frame_done(bench_subs *subs, subscriber *reader) {
  uint64_t n = reader->got++;
  subs->frames++;
  if (n >= subs->posted) bench_die("a subscriber got more messages than were posted");
  if (--subs->missing[n]) return;
  subs->latency_us[subs->done++] = (uint32_t)(bench_now_us() - subs->posted_us[n]);
}

static size_t head_size(const subscriber *reader) {
  if (reader->head_len < 2) return 2;
  int len = reader->head[1] & 0x7f;
  return len == 126 ? 4 : len == 127 ? 10 : 2;
}

static void begin_payload(subscriber *reader) {
  uint64_t len = reader->head[1] & 0x7f;
  size_t size = head_size(reader);
  if ((reader->head[0] & 0x0f) == 8) bench_die("the server closed a subscriber that reads");
  if (reader->head[0] != 0x81 || reader->head[1] & 0x80) bench_die("a frame that is no whole text: %02x %02x", reader->head[0], reader->head[1]);
  if (size > 2) {
    len = 0;
    for (size_t i = 2; i < size; i++) len = len << 8 | reader->head[i];
  }
  /* A receipt, a heart-beat or a ping would be counted as a message. */
  if (len < PAYLOAD_MIN || len > BENCH_FRAME_MAX - sizeof reader->head) bench_die("a frame of %llu bytes is no tip", (unsigned long long)len);
  reader->left = (uint32_t)len;
}

/* What the bare loop is to send, byte for byte. */
static void keep_frame(bench_subs *subs, const subscriber *reader, const char *data, size_t len) {
  size_t size = head_size(reader);
  uint32_t payload = (uint32_t)reader->head[size - 2] << 8 | reader->head[size - 1];
  if (size != 4) return;
  memcpy(subs->frame, reader->head, size);
  memcpy(subs->frame + size + (payload - reader->left), data, len);
  if (len == reader->left) subs->frame_len = size + payload;
}

static void count_frames(bench_subs *subs, subscriber *reader, const char *data, size_t len) {
  while (len) {
    if (reader->head_len < head_size(reader)) {
      reader->head[reader->head_len++] = (uint8_t)*data++;
      len--;
      if (reader->head_len < head_size(reader)) continue;
      begin_payload(reader);
    }
    size_t take = reader->left < len ? reader->left : len;
    if (reader == subs->readers) keep_frame(subs, reader, data, take);
    data += take;
    len -= take;
    reader->left -= (uint32_t)take;
    if (reader->left) return;
    reader->head_len = 0;
    frame_done(subs, reader);
  }
}

static void read_frames(bench_subs *subs, subscriber *reader) {
  ssize_t n = recv(reader->fd, subs->buffer, READ_BYTES, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) bench_die("a subscriber that reads was sent away");
  subs->reads++;
  count_frames(subs, reader, subs->buffer, (size_t)n);
}

static void wait_and_read(bench_subs *subs, int timeout_ms) {
  struct epoll_event events[512];
  int n = epoll_wait(subs->epoll_fd, events, 512, timeout_ms);
  for (int i = 0; i < n; i++) {
    void *what = events[i].data.ptr;
    if ((publisher *)what >= subs->publishers && (publisher *)what < subs->publishers + PUBLISHERS) read_answer(what);
    else read_frames(subs, what);
  }
}

static void publish_what_is_due(bench_subs *subs, const bench_published *load, uint64_t due) {
  publisher *by = idle_publisher(subs);
  while (by && subs->posted - subs->done < load->window && subs->posted < due) {
    publish(subs);
    if (subs->pending_len + LINE_BYTES <= PENDING_BYTES) continue;
    flush_pending(subs, by);
    by = idle_publisher(subs);
  }
  if (subs->pending_len) flush_pending(subs, by);
}

void bench_subs_run(bench_subs *subs, const bench_published *load, bench_fanned *out) {
  int64_t begin = bench_now_us(), counted_from = begin + load->warm_up_us, end = counted_from + load->measure_us, now = begin;
  uint64_t counted = 0, first = subs->posted, reads = subs->reads, frames = subs->frames;
  int counting = 0;
  while (now < end && !(counting && load->messages && subs->done - counted >= load->messages)) {
    if (!counting && now >= counted_from) {
      counting = 1;
      counted_from = now;
      counted = subs->done;
      if (load->at) load->at(load->arg, 0);
    }
    publish_what_is_due(subs, load, load->per_second > 0 ? first + (uint64_t)((double)(now - begin) * load->per_second / 1e6) : MESSAGES_MAX);
    wait_and_read(subs, load->per_second > 0 ? 1 : 1000);
    now = bench_now_us();
  }
  if (!counting) bench_die("the machine stood still for all of a run");
  if (load->at) load->at(load->arg, 1);
  *out = (bench_fanned){.seconds = (double)(now - counted_from) / 1e6, .messages = subs->done - counted};
  out->deliveries = out->messages * subs->options.count;
  /* What is still on its way is in no rate, but it has to come, and how long it takes counts. */
  while (subs->done < subs->posted) {
    wait_and_read(subs, 1000);
    if (bench_now_us() > now + PATIENCE_US) bench_die("%llu messages did not reach everybody", (unsigned long long)(subs->posted - subs->done));
  }
  if (subs->done == counted) bench_die("not one message was published");
  out->coalesced = (double)(subs->frames - frames) / (double)(subs->reads - reads);
  size_t n = subs->done - counted;
  out->p50_us = bench_percentile(subs->latency_us + counted, n, 0.5);
  out->p99_us = bench_percentile(subs->latency_us + counted, n, 0.99);
  out->worst_us = bench_percentile(subs->latency_us + counted, n, 1.0);
}

/* 1: the peer has closed, and the end of what it sent says why. */
static int ends_too_slow(int fd, char *buffer, uint64_t *bytes) {
  static const char reason[] = "\nmessage:too slow\n";
  int large = 4 << 20;
  size_t kept = 0;
  *bytes = 0;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &large, sizeof large)) bench_die("SO_RCVBUF: %s", strerror(errno));
  for (;;) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    if (poll(&ready, 1, 3000) != 1) return 0;
    ssize_t n = recv(fd, buffer + kept, READ_BYTES - kept, 0);
    if (n <= 0) return memmem(buffer, kept, reason, sizeof reason - 1) != NULL;
    *bytes += (uint64_t)n;
    size_t len = kept + (size_t)n;
    kept = len < BENCH_FRAME_MAX ? len : BENCH_FRAME_MAX;
    memmove(buffer, buffer + len - kept, kept);
  }
}

unsigned bench_subs_read_stalled(bench_subs *subs, uint64_t *bytes) {
  unsigned count = 0;
  uint64_t ignored;
  for (unsigned i = 0; i < subs->options.stalled; i++) count += (unsigned)ends_too_slow(subs->stalled[i].fd, subs->buffer, i ? &ignored : bytes);
  return count;
}
