/* hello.c - a first program with libtipcurrent: store a tip, so that it survives a power loss, and list the room.
 *
 * cc hello.c $(pkg-config --cflags --libs tipcurrent) && ./a.out sqlite:hello.db
 */
#include <stdio.h>
#include <tipcurrent.h>

static int complain(const char *what, int code) {
  fprintf(stderr, "%s: %s\n", what, *tc_last_error() ? tc_last_error() : tc_strerror(code));
  return 1;
}

static int tip(tc_engine *engine) {
  tc_tip_new new_tip = TC_TIP_NEW_INIT;
  new_tip.room_id = "gaming_stream_123";
  new_tip.sender_id = "alice";
  new_tip.recipient_id = "bob";
  new_tip.amount = 10000; /* 100.00: amounts are hundredths */
  new_tip.message = "Great play!";
  new_tip.idempotency_key = "hello-1"; /* run it again: the same tip, not a second one */

  tc_event *event = NULL;
  int32_t replayed = 0;
  int code = tc_tip_create(engine, &new_tip, &event, &replayed);
  if (code) return complain("tip", code);
  printf("%s %s\n", replayed ? "known:" : "stored:", tc_event_json(event, NULL));
  tc_event_unref(event);
  return 0;
}

static int list(tc_engine *engine) {
  tc_tip_query query = TC_TIP_QUERY_INIT;
  query.room_id = "gaming_stream_123";

  tc_page *page = NULL;
  int code = tc_tip_list(engine, &query, &page);
  if (code) return complain("list", code);
  printf("%lld in the room, newest first:\n", (long long)tc_page_total(page));
  for (size_t i = 0; i < tc_page_count(page); i++) printf("  %s\n", tc_event_json(tc_page_at(page, i), NULL));
  tc_page_free(page);
  return 0;
}

int main(int argc, char **argv) {
  tc_options options = TC_OPTIONS_INIT;
  options.storage_url = argc > 1 ? argv[1] : "memory:";

  tc_engine *engine = NULL;
  int code = tc_open(&engine, &options);
  if (code) return complain("open", code);
  int failed = tip(engine) || list(engine);
  code = tc_close(engine);
  return code ? complain("close", code) : failed;
}
