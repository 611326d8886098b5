/* The hub with real sockets: an app whose streams are one line an event, `<name>:<seq>;`, and an engine in memory. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/thread.h"
#include "front_kit.h"
#include "server/live/outlet.h"

static tcd_hub *hub;
static tc_engine *engine;
static tcd_hub_options hub_options;
static int stuffing; /* bytes of padding in each line */

static void put_line(tc_text message, tci_buf *out) {
  (void)tci_buf_append(out, message.ptr, message.len);
  (void)tci_buf_puts(out, ";");
}
static const tcd_framing line_framing = {"line", put_line};

static void write_line(const tcd_shape *shape, const tc_event *event, tci_buf *out) {
  (void)tci_buf_printf(out, "%.*s:%lld", (int)shape->text.len, shape->text.ptr, (long long)tc_event_seq(event));
  if (stuffing) (void)tci_buf_printf(out, "%*s", stuffing, "");
}

typedef struct stream {
  tcd_outlet outlet; /* first */
  tcd_cursor *first;
  char name[32];
} stream;

static _Atomic int closed_count;

static void on_closed(tcd_outlet *outlet) {
  (void)outlet;
  atomic_fetch_add(&closed_count, 1);
}

static tcd_cursor *join(stream *to, const char *destination, const char *name, int64_t after) {
  tcd_join request = {.shape = {&line_framing, write_line, {name, strlen(name)}, 0, NULL}, .resume = after >= 0, .after_seq = after};
  tcd_cursor *cursor = NULL;
  int recovered = -1;
  ck_assert_int_eq(tcd_topic_parse((tc_text){destination, strlen(destination)}, &request.topic), 0);
  ck_assert_int_eq(tcd_hub_join(hub, &to->outlet.sink, &request, &cursor, &recovered), TC_OK);
  char line[32];
  int len = snprintf(line, sizeof line, "joined %s %d;", name, recovered);
  tcd_outlet_put(&to->outlet, line, (size_t)len);
  return cursor;
}

/* One word a line: `join DEST NAME [AFTER]`, `leave`, `settle`, `finish`, `return`. */
static void on_input(tcd_outlet *outlet, char *bytes, size_t len) {
  stream *to = (stream *)outlet;
  char text[256], destination[64], name[32];
  long long after = -1;
  if (!len) {
    tcd_outlet_close(outlet);
    return;
  }
  ck_assert_uint_lt(len, sizeof text);
  memcpy(text, bytes, len);
  text[len] = '\0';
  char *rest = text;
  for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
    after = -1;
    if (sscanf(line, "join %63s %31s %lld", destination, name, &after) >= 2) to->first = join(to, destination, name, after);
    else if (!strcmp(line, "leave")) tcd_cursor_leave(to->first);
    else if (!strcmp(line, "settle")) tcd_sink_settle(&outlet->sink), tcd_outlet_put(outlet, "settled;", 8);
    else if (!strcmp(line, "finish")) tcd_outlet_finish(outlet);
    else if (!strcmp(line, "return")) tcd_outlet_return(outlet);
    if (outlet->ending) return;
  }
}

static void on_cut(tcd_outlet *outlet, tcd_cursor *cursor, int why, int64_t resume_seq) {
  char line[64];
  (void)cursor;
  int len = snprintf(line, sizeof line, "cut %d %lld;", why, (long long)resume_seq);
  tcd_outlet_put(outlet, line, (size_t)len);
  tcd_outlet_finish(outlet);
}

static void on_stop(tcd_outlet *outlet) {
  tcd_outlet_put(outlet, "bye;", 4);
  tcd_outlet_finish(outlet);
}

static const tcd_outlet_ops stream_ops = {.input = on_input, .closed = on_closed, .cut = on_cut, .stop = on_stop};
static const tcd_outlet_ops deaf_ops = {.closed = on_closed};

static int serve(const tcd_request *request, tcd_reply *reply) {
  int deaf = request->path.len == 5 && !memcmp(request->path.ptr, "/deaf", 5);
  if (!deaf && (request->path.len != 5 || memcmp(request->path.ptr, "/live", 5))) return 0;
  stream *made = tci_zalloc(sizeof *made);
  ck_assert_int_eq(tcd_outlet_take(&made->outlet, hub, reply, deaf ? &deaf_ops : &stream_ops), 0);
  tcd_outlet_put(&made->outlet, "HTTP/1.1 200 OK\r\n\r\n", 19);
  tcd_outlet_start(&made->outlet);
  return 1;
}

static void begin(void) {
  tc_options options = TC_OPTIONS_INIT;
  options.storage_url = "memory:";
  ck_assert_int_eq(tc_open(&engine, &options), TC_OK);
  front_hook = serve;
  front_open();
  hub_options.front = front;
  hub_options.engine = engine;
  ck_assert_int_eq(tcd_hub_open(&hub, &hub_options), TC_OK);
  front_run();
}

static void end(void) {
  tcd_front_stop(front, 0);
  tcd_front_stop(front, 0); /* at once: the clock stands still, and clients are open */
  front_join();
  tcd_hub_close(hub);
  ck_assert_int_eq(tc_close(engine), TC_OK);
  front_end();
}

static int64_t tip(const char *room) {
  tc_tip_new made = TC_TIP_NEW_INIT;
  tc_event *event = NULL;
  made.room_id = room;
  made.sender_id = made.recipient_id = "x";
  made.amount = 100;
  ck_assert_int_eq(tc_tip_create(engine, &made, &event, NULL), TC_OK);
  int64_t seq = tc_event_seq(event);
  tc_event_unref(event);
  return seq;
}

static int open_live(const char *commands) {
  int fd = client_open();
  client_send(fd, "GET /live HTTP/1.1\r\nHost: h\r\n\r\n");
  client_send(fd, commands); /* some of it comes with the request */
  (void)client_read(fd, 1);
  return fd;
}

/* The next line of the stream, without its ';' and padding. */
static const char *line(int fd) {
  static char text[1 << 17];
  size_t len = 0;
  for (int whole = 0; !whole;) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    ck_assert_msg(poll(&ready, 1, WAIT_MS) == 1, "nothing came after '%.*s'", (int)len, text);
    ssize_t n = recv(fd, text + len, sizeof text - len, MSG_PEEK);
    ck_assert_msg(n > 0, "the stream ends after '%.*s'", (int)len, text);
    const char *end_of_line = memchr(text + len, ';', (size_t)n);
    whole = end_of_line != NULL;
    if (whole) n = end_of_line + 1 - (text + len);
    ck_assert_int_eq(recv(fd, text + len, (size_t)n, 0), n);
    len += (size_t)n;
  }
  len--;
  while (len && text[len - 1] == ' ') len--;
  text[len] = '\0';
  return text;
}

static void expect(int fd, const char *name, int64_t seq) {
  char want[64];
  (void)snprintf(want, sizeof want, "%s:%lld", name, (long long)seq);
  ck_assert_str_eq(line(fd), want);
}

static tcd_hub_stats stats(void) {
  tcd_hub_stats out;
  tcd_hub_stats_get(hub, &out);
  return out;
}

START_TEST(each_room_its_events) {
  begin();
  int a = open_live("join /topic/rooms/a A\n"), b = open_live("join /topic/rooms/b B\n"), all = open_live("join /topic/** all\njoin /topic/rooms/b B\n");
  ck_assert_str_eq(line(a), "joined A 1");
  ck_assert_str_eq(line(b), "joined B 1");
  ck_assert_str_eq(line(all), "joined all 1");
  ck_assert_str_eq(line(all), "joined B 1");
  ck_assert_uint_eq(stats().channels, 3);
  for (int i = 0; i < 100; i++) {
    int64_t first = tip("a"), second = tip("b");
    (void)tip("nobody");
    expect(a, "A", first);
    expect(b, "B", second);
    expect(all, "all", first);
    expect(all, "all", second);
    expect(all, "B", second);
    expect(all, "all", second + 1);
  }
  close(a);
  FRONT_WAIT(stats().channels == 2);
  close(b);
  close(all);
  FRONT_WAIT(stats().cursors == 0 && stats().channels == 0 && stats().topics == 0 && stats().channel_bytes == 0);
  end();
  ck_assert_int_eq(closed_count, 3);
}
END_TEST

START_TEST(what_was_missed_then_live) {
  begin();
  for (int i = 0; i < 1500; i++) (void)tip(i % 3 ? "a" : "b");
  int fd = open_live("join /topic/rooms/a A 0\n"), later = open_live("join /topic/rooms/a A 1400\n"), here = open_live("join /topic/rooms/a A 1500\n"),
      beyond = open_live("join /topic/rooms/a A 1501\n");
  ck_assert_str_eq(line(fd), "joined A 1");
  ck_assert_str_eq(line(here), "joined A 1");
  ck_assert_str_eq(line(beyond), "joined A 0");
  ck_assert_str_eq(line(later), "joined A 1");
  for (int i = 0; i < 1500; i++) {
    if (i % 3) expect(fd, "A", i + 1);
    if (i % 3 && i >= 1400) expect(later, "A", i + 1);
  }
  FRONT_WAIT(stats().replays == 0);
  int64_t seq = tip("a");
  expect(fd, "A", seq);
  expect(later, "A", seq);
  expect(here, "A", seq);
  expect(beyond, "A", seq);
  end();
}
END_TEST

static void *storm(void *stop) {
  while (!atomic_load((atomic_int *)stop)) (void)tip("a");
  return NULL;
}

START_TEST(no_gap_and_no_double_at_the_seam) {
  atomic_int stop = 0;
  tci_thread writer;
  begin();
  for (int i = 0; i < 1000; i++) (void)tip("a");
  ck_assert_int_eq(tci_thread_start(&writer, "storm", storm, &stop), 0);
  for (int round = 0; round < 20; round++) {
    char commands[64];
    (void)snprintf(commands, sizeof commands, "join /topic/rooms/a A %d\n", round * 50);
    int fd = open_live(commands);
    ck_assert_str_eq(line(fd), "joined A 1");
    for (int64_t seq = round * 50 + 1; seq <= 2000; seq++) expect(fd, "A", seq);
    close(fd);
  }
  atomic_store(&stop, 1);
  tci_thread_join(&writer);
  end();
}
END_TEST

START_TEST(too_far_behind) {
  hub_options.max_replay = 700;
  begin();
  for (int i = 0; i < 1000; i++) (void)tip("a");
  int fd = open_live("join /topic/rooms/a A 100\n");
  ck_assert_str_eq(line(fd), "joined A 1");
  for (int i = 101; i <= 800; i++) expect(fd, "A", i);
  ck_assert_str_eq(line(fd), "cut 2 800");
  ck_assert(client_ended(fd));
  ck_assert_uint_eq(stats().cut_far, 1);
  end();
}
END_TEST

static int open_slow(const char *commands) {
  int fd = open_live(commands);
  ck_assert_str_eq(line(fd), "joined A 1");
  return fd;
}

START_TEST(a_slow_reader_is_cut_off_and_the_others_go_on) {
  stuffing = 60000;
  hub_options.max_lag_bytes = 256 << 10;
  begin();
  int slow = open_slow("join /topic/rooms/a A\n"), dead = open_slow("join /topic/rooms/a A\n"), good = open_slow("join /topic/rooms/a A\n");
  int64_t seq = 0, reached = 0;
  for (int i = 0; i < 2000 && stats().cut_slow < 2; i++) {
    seq = tip("a");
    expect(good, "A", seq);
    if (i < 150) expect(slow, "A", reached = seq); /* it reads for a while, the dead one never */
  }
  ck_assert_uint_eq(stats().cut_slow, 2);
  ck_assert_uint_lt(stats().channel_bytes, 1 << 20);
  for (;;) { /* all that was sent comes whole and in order, then the reason */
    const char *text = line(slow);
    long long last = 0;
    if (sscanf(text, "cut 1 %lld", &last) == 1) {
      ck_assert_int_eq(last, reached);
      break;
    }
    ck_assert_int_eq(sscanf(text, "A:%lld", &last), 1);
    ck_assert_int_eq(last, reached + 1);
    reached = last;
  }
  ck_assert(client_ended(slow));
  expect(good, "A", tip("a"));
  front_advance(10200); /* the goodbye was not read either */
  FRONT_WAIT(closed_count >= 2);
  close(dead);
  end();
}
END_TEST

START_TEST(too_old) {
  stuffing = 60000;
  hub_options.max_lag_bytes = 64 << 20;
  begin();
  int slow = open_slow("join /topic/rooms/a A\n"), good = open_slow("join /topic/rooms/a A\n");
  for (int i = 0; i < 400; i++) expect(good, "A", tip("a")); /* 24 MB: more than any socket buffer */
  front_advance(9000);
  expect(good, "A", tip("a"));
  ck_assert_uint_eq(stats().cut_slow, 0);
  front_advance(1200);
  FRONT_WAIT(stats().cut_slow == 1);
  expect(good, "A", tip("a"));
  close(slow);
  end();
}
END_TEST

START_TEST(settled_before_the_last_word) {
  begin();
  int fd = open_live("join /topic/rooms/a A\njoin /topic/** all\n");
  ck_assert_str_eq(line(fd), "joined A 1");
  ck_assert_str_eq(line(fd), "joined all 1");
  for (int i = 0; i < 200; i++) {
    int64_t seq = tip("a");
    client_send(fd, "settle\n");
    expect(fd, "A", seq);
    expect(fd, "all", seq);
    ck_assert_str_eq(line(fd), "settled");
  }
  client_send(fd, "leave\nsettle\n");
  ck_assert_str_eq(line(fd), "settled");
  int64_t seq = tip("a");
  expect(fd, "A", seq); /* the first that joined is still there */
  client_send(fd, "finish\n");
  ck_assert(client_ended(fd));
  end();
}
END_TEST

START_TEST(back_to_http) {
  begin();
  int fd = open_live("join /topic/rooms/a A\n");
  ck_assert_str_eq(line(fd), "joined A 1");
  client_send(fd, "return\n");
  FRONT_WAIT(closed_count == 1);
  client_send(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
  ck_assert_str_eq(body_of(client_read(fd, 0)), "hi");
  ck_assert_uint_eq(front_stats().connections, 1);
  end();
}
END_TEST

START_TEST(goodbye_at_the_stop) {
  begin();
  int fd = open_live("join /topic/rooms/a A\n"), deaf = client_open();
  client_send(deaf, "GET /deaf HTTP/1.1\r\nHost: h\r\n\r\n");
  (void)client_read(deaf, 1);
  ck_assert_str_eq(line(fd), "joined A 1");
  int64_t seq = tip("a");
  tcd_front_stop(front, 1000);
  expect(fd, "A", seq);
  ck_assert_str_eq(line(fd), "bye");
  ck_assert(client_ended(fd));
  ck_assert(client_ended(deaf));
  close(fd);
  close(deaf);
  front_join();
  ck_assert_int_eq(closed_count, 2);
  tcd_hub_close(hub);
  ck_assert_int_eq(tc_close(engine), TC_OK);
  front_end();
}
END_TEST

START_TEST(topics) {
  tcd_topic topic;
#define PARSE(text) tcd_topic_parse((tc_text){text, sizeof text - 1}, &topic)
  ck_assert_int_eq(PARSE("/topic/rooms/a/b*"), 0);
  ck_assert(!topic.all && topic.room.len == 4 && !memcmp(topic.room.ptr, "a/b*", 4));
  ck_assert(PARSE("/topic/rooms/*") == 0 && topic.all);
  ck_assert(PARSE("/topic/**") == 0 && topic.all);
  ck_assert_int_eq(PARSE("/topic/rooms/"), -1);
  ck_assert_int_eq(PARSE("/topic/room/a"), -1);
  ck_assert_int_eq(PARSE("/topic/events/"), -1);
  ck_assert_int_eq(PARSE("/topic/*"), -1);
  ck_assert(PARSE("/topic/rooms/a") == 0 && topic.what == TCD_TOPIC_ROOMS);
  ck_assert(PARSE("/topic/events/a/b") == 0 && topic.what == TCD_TOPIC_EVENTS && !topic.all && topic.room.len == 3);
  ck_assert(PARSE("/topic/events/**") == 0 && topic.what == TCD_TOPIC_EVENTS && topic.all);
  ck_assert(PARSE("/topic/rooms/**") == 0 && topic.what == TCD_TOPIC_ROOMS && topic.all);
  ck_assert(PARSE("/topic/**") == 0 && topic.what == TCD_TOPIC_ALL && topic.all);
  ck_assert_uint_eq(tcd_topic_kinds(TCD_TOPIC_ROOMS), 1u << TC_KIND_TIP | 1u << TC_KIND_REACTION);
  ck_assert_uint_eq(tcd_topic_kinds(TCD_TOPIC_ROOMS) & tcd_topic_kinds(TCD_TOPIC_EVENTS), 0);
  ck_assert_uint_eq(tcd_topic_kinds(TCD_TOPIC_ROOMS) | tcd_topic_kinds(TCD_TOPIC_EVENTS), tcd_topic_kinds(TCD_TOPIC_ALL));
  ck_assert_uint_eq(tcd_topic_kinds(TCD_TOPIC_ALL) >> TC_KIND_WEBHOOK_DISABLED & 1, 0);
  ck_assert_int_eq(PARSE(""), -1);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("live");
  TCase *tests = tcase_create("live");
  suite_add_tcase(suite, tests);
  tcase_set_timeout(tests, 15);
  tcase_add_test(tests, each_room_its_events);
  tcase_add_test(tests, what_was_missed_then_live);
  tcase_add_test(tests, no_gap_and_no_double_at_the_seam);
  tcase_add_test(tests, too_far_behind);
  tcase_add_test(tests, a_slow_reader_is_cut_off_and_the_others_go_on);
  tcase_add_test(tests, too_old);
  tcase_add_test(tests, settled_before_the_last_word);
  tcase_add_test(tests, back_to_http);
  tcase_add_test(tests, goodbye_at_the_stop);
  tcase_add_test(tests, topics);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? 1 : 0;
}
