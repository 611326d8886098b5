/* The storage of examples/own_storage: what every backend must keep, and what its file must survive. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../examples/own_storage/own_storage.h"
#include "storage_suite.h"

static char directory[64], path[128];

static void url(char *out, size_t size) {
  (void)snprintf(directory, sizeof directory, "/tmp/tc-own-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(directory));
  (void)snprintf(path, sizeof path, "%s/tips.journal", directory);
  (void)snprintf(out, size, "journal:%s", path);
}

static void clean(void) {
  ck_assert_int_eq(unlink(path), 0);
  ck_assert_int_eq(rmdir(directory), 0);
}

/* ---- its file ---- */

static char opened[256];

static int reopen(tc_storage_state *state) {
  clear_fail();
  ops->close(storage);
  storage = NULL;
  return ops->open(&storage, opened, &storage_env, state);
}

static void set_up(void) {
  tc_storage_state state;
  ops = journal_storage_ops();
  storage = NULL;
  url(opened, sizeof opened);
  ck_assert_msg(!reopen(&state), "%s", last_fail());
}

static void tear_down(void) {
  ops->close(storage);
  clean();
}

static int64_t file_size(void) {
  struct stat status;
  ck_assert_int_eq(stat(path, &status), 0);
  return status.st_size;
}

static void damage(int64_t at) {
  char byte;
  int fd = open(path, O_RDWR | O_CLOEXEC);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
  byte = (char)~byte;
  ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
  ck_assert_int_eq(close(fd), 0);
}

static tc_record keyed(const char *key) {
  tc_record record = tip("r", "u", "p", NOON);
  record.text[TC_COL_KEY] = text_of(key);
  return record;
}

static int keep_doc(int64_t id, tc_text doc, void *arg) { return snprintf(arg, 64, "%lld=%.*s", (long long)id, (int)doc.len, doc.ptr), 0; }

static int keep_owed(const tc_owed *row, void *arg) {
  *(tc_owed *)arg = *row;
  return 0;
}

START_TEST(everything_is_there_again) {
  int64_t id = 0, total = -1, cursor = -1, seq = -1;
  char doc[64] = "";
  tc_storage_state state;
  tc_owed row = {.webhook_id = 1, .seq = 2, .lane = -1, .due_us = NOON}, found = {0};
  tc_delivery tried[2] = {{.webhook_id = 1, .seq = 1, .created_at_us = NOON, .event = text_of("e")}, {.webhook_id = 1, .seq = 2, .created_at_us = NOON + 1}};
  for (int i = 0; i < 3; i++) (void)append_one(ops, storage, keyed(i == 1 ? "k" : NULL));
  ck_assert_int_eq(ops->config_put(storage, 1, &id, text_of("gone")), TC_OK);
  ck_assert_int_eq(ops->config_remove(storage, 1, id), TC_OK);
  id = 0;
  ck_assert_int_eq(ops->config_put(storage, 1, &id, text_of("here")), TC_OK);
  ck_assert_int_eq(ops->work_commit(storage, &(tc_work){.cursor_seq = 2, .owed = &row, .owed_n = 1, .log = tried, .log_n = 2}), TC_OK);
  int32_t more = -1;
  ck_assert_int_eq(ops->work_trim(storage, NOON + 1, 10, &more), TC_OK);

  ck_assert_msg(!reopen(&state), "%s", last_fail());
  ck_assert_int_eq(state.log_seq, 3);
  ck_assert_int_eq(state.index_seq, 3);
  ck_assert_int_eq(state.last_created_at_us, NOON);
  ck_assert_int_eq(count_all(ops, storage, TC_KIND_TIP, "r"), 3);
  tc_record again = keyed("k");
  tc_append item = {.record = &again};
  ck_assert_int_eq(append_items(ops, storage, &item, 1), TC_OK);
  ck_assert_int_eq(item.result, TC_EEXISTS);
  ck_assert_int_eq(item.existing_seq, 2);
  ck_assert_int_eq(ops->config_read(storage, 1, keep_doc, doc), TC_OK);
  ck_assert_str_eq(doc, "2=here");
  id = 0;
  ck_assert_int_eq(ops->config_put(storage, 1, &id, text_of("next")), TC_OK);
  ck_assert_int_eq(id, 3);
  ck_assert_int_eq(ops->work_state(storage, &cursor, keep_owed, &found), TC_OK);
  ck_assert_int_eq(cursor, 2);
  ck_assert_int_eq(found.due_us, NOON);
  ck_assert_int_eq(ops->deliveries(storage, 1, 0, 0, NULL, NULL, &total), TC_OK);
  ck_assert_int_eq(total, 1);
  ck_assert_int_eq(ops->facts_cursor(storage, &seq), TC_OK);
  ck_assert_int_eq(seq, 0);
}
END_TEST

/* Wherever the power went away, what was there before the frame is there, and writing goes on. */
START_TEST(a_frame_that_was_being_written_is_not_there) {
  tc_storage_state state;
  (void)append_one(ops, storage, keyed("a"));
  int64_t before = file_size();
  (void)append_one(ops, storage, keyed("b"));
  int64_t after = file_size();
  for (int64_t size = before; size < after; size++) {
    ck_assert_int_eq(truncate(path, size), 0);
    if (size % 2) ck_assert_int_eq(truncate(path, after + 100), 0); /* the size came, the bytes did not */
    ck_assert_msg(!reopen(&state), "%lld: %s", (long long)size, last_fail());
    ck_assert_int_eq(state.log_seq, 1);
    ck_assert_int_eq(file_size(), before);
    ck_assert_int_eq(append_one(ops, storage, keyed("b")), 2);
    ck_assert_int_eq(file_size(), after);
  }
  damage(after - 1);
  ck_assert_int_eq(reopen(&state), TC_OK);
  ck_assert_int_eq(state.log_seq, 1);
}
END_TEST

START_TEST(damage_before_the_end_is_said_and_left_alone) {
  tc_storage_state state;
  int64_t begin = file_size();
  (void)append_one(ops, storage, keyed("a"));
  int64_t first = file_size();
  (void)append_one(ops, storage, keyed("b"));
  int64_t size = file_size();
  for (int64_t at = 0; at < first; at++) {
    damage(at);
    ck_assert_int_eq(reopen(&state), TC_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(last_fail(), path));
    ck_assert_ptr_null(storage);
    ck_assert_int_eq(file_size(), size);
    damage(at);
  }
  ck_assert_int_eq(reopen(&state), TC_OK);
  ck_assert_int_eq(state.log_seq, 2);
  damage(begin);
  ck_assert_int_eq(ops->check(storage), TC_ECORRUPT);
}
END_TEST

START_TEST(a_second_opener_is_refused) {
  tc_storage *second = NULL;
  tc_storage_state state;
  ck_assert_int_eq(ops->open(&second, opened, &storage_env, &state), TC_EBUSY);
  ck_assert_ptr_nonnull(strstr(last_fail(), path));
  ck_assert_ptr_null(second);
  ck_assert_int_eq(ops->open(&second, "journal:/nowhere/at/all", &storage_env, &state), TC_ESTORAGE);
  ck_assert_int_eq(append_one(ops, storage, keyed(NULL)), 1);
}
END_TEST

START_TEST(a_full_disk_stores_nothing_and_is_over_when_there_is_room) {
  tc_storage_state state;
  struct rlimit limit, before;
  tc_record record = keyed("k");
  tc_append item = {.record = &record, .result = 99};
  int32_t stored = -1;
  uint8_t batch_id[16] = {0};
  (void)append_one(ops, storage, keyed("a"));
  int64_t size = file_size();
  ck_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
  ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
  limit = before;
  limit.rlim_cur = (rlim_t)size + 20;
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
  ck_assert_int_eq(append_items(ops, storage, &item, 1), TC_ESTORAGE);
  ck_assert_ptr_nonnull(strstr(last_fail(), path));
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
  ck_assert_int_eq(item.result, 99);
  ck_assert_int_eq(record.seq, 0);
  ck_assert_int_eq(file_size(), size);
  ck_assert_int_eq(ops->append_outcome(storage, &item, 1, batch_id, &stored), TC_OK);
  ck_assert_int_eq(stored, 0);
  ck_assert_int_eq(append_one(ops, storage, keyed("k")), 2);
  ck_assert_int_eq(reopen(&state), TC_OK);
  ck_assert_int_eq(state.log_seq, 2);
}
END_TEST

int main(void) {
  const storage_fixture own = {.name = "storage: own", .ops = journal_storage_ops(), .url = url, .clean = clean};
  Suite *suite = storage_suite(&own);
  TCase *file = tcase_create("file");
  tcase_add_checked_fixture(file, set_up, tear_down);
  tcase_add_test(file, everything_is_there_again);
  tcase_add_test(file, a_frame_that_was_being_written_is_not_there);
  tcase_add_test(file, damage_before_the_end_is_said_and_left_alone);
  tcase_add_test(file, a_second_opener_is_refused);
  tcase_add_test(file, a_full_disk_stores_nothing_and_is_over_when_there_is_room);
  suite_add_tcase(suite, file);
  return run_suite(suite);
}
