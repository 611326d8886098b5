/* tipcurrent.hpp as a C++ program sees it: results, handles that close themselves, callbacks that live as long as C needs them. */
#include <check.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <tipcurrent.hpp>

namespace tc = tipcurrent;

namespace {

const std::uint32_t WAYS[] = {0, TC_NO_THREADS};

tc::engine open_memory(std::uint32_t flags = 0) {
  tc::options o;
  o.storage_url = "memory:";
  o.flags = flags;
  auto opened = tc::engine::open(o);
  ck_assert_msg(opened.ok(), "%s", opened.message().c_str());
  return std::move(opened).value();
}

tc::tip_new a_tip(std::int64_t amount = 10000) {
  tc::tip_new t;
  t.room_id = "room";
  t.sender_id = std::string("alice");
  t.recipient_id = "bob";
  t.amount = amount;
  return t;
}

/* Functions, because ck_assert_str_eq keeps a pointer beyond the expression that it stands in: what a temporary lent is gone by then. */
void same(const char *a, const char *b) { ck_assert_str_eq(a, b); }
bool has(const char *all, const char *part) { return std::strstr(all, part) != nullptr; }

/* Runs the engine, or lets it run, until done() holds. */
template <class Done> void until(tc::engine &engine, std::uint32_t flags, Done done) {
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!done()) {
    ck_assert_msg(std::chrono::steady_clock::now() < deadline, "it did not happen within a minute");
    if (flags & TC_NO_THREADS) ck_assert(engine.poll(1).ok());
    else std::this_thread::yield();
  }
}

} // namespace

START_TEST(a_tip_is_stored_once_and_found) {
  tc::engine engine = open_memory();
  tc::tip_new t = a_tip();
  t.message = "";
  t.idempotency_key = "k";
  auto first = engine.tip_create(t);
  auto again = engine.tip_create(t);
  ck_assert_msg(first.ok() && again.ok(), "%s%s", first.message().c_str(), again.message().c_str());
  ck_assert(!first->replayed && again->replayed);
  const tc::event &e = first->value;
  ck_assert_int_eq(e.id(), again->value.id());
  ck_assert_int_eq(e.kind(), TC_KIND_TIP);
  ck_assert_int_eq(e.amount(), 10000);
  same(e.room_id(), "room");
  same(e.str(TC_FIELD_MESSAGE), "");
  ck_assert_ptr_null(e.str(TC_FIELD_METADATA)); /* never set: absent, not "" */
  ck_assert_int_eq(e.number(TC_FIELD_TIP_ID, -1), -1);
  auto got = engine.tip_get(e.id());
  ck_assert(got.ok());
  std::size_t size = 0;
  same(got->json(&size), e.json());
  ck_assert_uint_eq(size, std::string(e.json()).size());
  ck_assert_int_eq(engine.get_status()->log_seq, 1);
  same(engine.currency().c_str(), "USD");
}
END_TEST

START_TEST(pages_are_walked) {
  tc::engine engine = open_memory();
  for (int i = 1; i <= 5; i++) ck_assert(engine.tip_create(a_tip(i)).ok());
  tc::tip_query q;
  q.room_id = "room";
  q.page_size = 2;
  q.after = "";
  std::int64_t expected = 5;
  for (int pages = 0;; pages++) {
    auto page = engine.tip_list(q);
    ck_assert(page.ok());
    ck_assert_int_eq(page->total(), 5);
    for (tc::event e : *page) ck_assert_int_eq(e.amount(), expected--);
    ck_assert(!page->at(page->size()));
    if (!page->next()) break;
    q.after = page->next();
    ck_assert_int_lt(pages, 3);
  }
  ck_assert_int_eq(expected, 0);
}
END_TEST

START_TEST(what_fails_says_why) {
  tc::engine engine = open_memory();
  tc::tip_new t = a_tip(0);
  auto refused = engine.tip_create(t);
  ck_assert(!refused);
  ck_assert_int_eq(refused.code(), TC_EINVAL);
  ck_assert(has(refused.message().c_str(), "amount"));
  ck_assert(!refused->value);
  t = a_tip();
  t.room_id = std::string("ro\0om", 5); /* C would store "ro" */
  ck_assert_int_eq(engine.tip_create(t).code(), TC_EINVAL);
  ck_assert_int_eq(engine.tip_get(99).code(), TC_ENOTFOUND);
  int caught = 0;
  try {
    (void)engine.tip_get(99).or_throw();
  } catch (const tc::exception &e) {
    caught = e.code();
    ck_assert_str_ne(e.what(), "");
  }
  ck_assert_int_eq(caught, TC_ENOTFOUND);
  tc::options nowhere;
  nowhere.storage_url = "nothing:";
  ck_assert_int_eq(tc::engine::open(nowhere).code(), TC_ENOTSUP);
  tc::engine none;
  ck_assert(!none);
  ck_assert_int_eq(none.tip_create(a_tip()).code(), TC_EINVAL);
  ck_assert(none.close().ok());
  ck_assert(engine.tip_create(a_tip()).or_throw().value); /* and the engine is none the worse */
}
END_TEST

START_TEST(events_outlive_their_engine) {
  tc::event kept;
  {
    tc::engine first = open_memory();
    tc::engine engine = std::move(first);
    ck_assert(!first && engine);
    kept = engine.tip_create(a_tip())->value;
  }
  tc::event copy = kept;
  kept = tc::event();
  ck_assert(!kept && copy);
  ck_assert_int_eq(copy.amount(), 10000);
}
END_TEST

START_TEST(submitted_functions_run_once_and_go) {
  std::uint32_t flags = WAYS[_i];
  auto token = std::make_shared<int>(0);
  {
    tc::engine engine = open_memory(flags);
    std::atomic<int> ran(0);
    auto count = [token, &ran](const tc::outcome &o) {
      ck_assert(o.ok() && o.value && !o.replayed);
      ran++;
    };
    for (int i = 0; i < 100; i++) ck_assert(engine.tip_submit(a_tip(), count).ok());
    ck_assert(engine.json_submit(TC_KIND_TIP, "{\"roomId\":\"r\",\"senderId\":\"a\",\"recipientId\":\"b\",\"amount\":1}", "key", count).ok());
    ck_assert(!engine.tip_submit(a_tip(-1), count).ok()); /* refused: never runs, and goes at once */
    ck_assert(!engine.json_submit(TC_KIND_TIP, "{", tc::text(), count).ok());
    ck_assert(engine.tip_submit(a_tip(), tc::done_fn()).ok()); /* who does not want to hear */
    until(engine, flags, [&] { return ran == 101; });
    /* Those that tc_close still finds are answered by it. */
    for (int i = 0; i < 10; i++) ck_assert(engine.tip_submit(a_tip(), count).ok());
    ck_assert(engine.close().ok());
    ck_assert_int_eq(ran, 111);
  }
  ck_assert_int_eq(token.use_count(), 1);
}
END_TEST

START_TEST(a_subscription_ends_from_inside) {
  std::uint32_t flags = WAYS[_i];
  auto token = std::make_shared<int>(0);
  std::atomic<int> seen(0);
  tc::engine engine = open_memory(flags);
  tc::subscription sub;
  auto opened = engine.subscribe(tc::sub_options(), [token, &seen, &sub](const tc::event &) {
    seen++;
    sub.close(); /* the function that runs must not go before it returns */
    (*token)++;  /* its captures are still there */
    ck_assert(!sub);
  });
  ck_assert(opened.ok());
  sub = std::move(opened).value();
  for (int i = 0; i < 3; i++) ck_assert(engine.tip_create(a_tip()).ok());
  until(engine, flags, [&] { return token.use_count() == 1; });
  ck_assert_int_eq(seen, 1);
  ck_assert_int_eq(*token, 1);
}
END_TEST

START_TEST(closing_waits_for_the_callback) {
  for (int round = 0; round < 20; round++) {
    tc::engine engine = open_memory();
    std::atomic<bool> inside(false), alive(true);
    {
      auto sub = engine.subscribe(tc::sub_options(), [&](const tc::event &) {
        ck_assert(alive);
        inside = true;
        std::this_thread::yield();
        ck_assert(alive);
      });
      ck_assert(sub.ok());
      for (int i = 0; i < 50; i++) ck_assert(engine.tip_submit(a_tip(), tc::done_fn()).ok());
      until(engine, 0, [&] { return inside.load(); });
    }
    alive = false; /* the subscription is gone: nobody calls any more */
  }
}
END_TEST

START_TEST(pull_from_the_start_and_past_the_end) {
  tc::subscription sub;
  {
    tc::engine engine = open_memory();
    for (int i = 1; i <= 3; i++) ck_assert(engine.tip_create(a_tip(i)).ok());
    tc::sub_options all;
    all.after_seq = 1;
    all.kinds = 1u << TC_KIND_TIP;
    sub = engine.subscribe(all).or_throw();
    ck_assert_int_ge(sub.fd(), 0);
    ck_assert_int_eq(sub.next().or_throw().seq(), 2);
    ck_assert_int_eq(sub.next().or_throw().seq(), 3);
    ck_assert_int_eq(sub.next(0).code(), TC_ETIMEOUT);
    ck_assert_int_eq(sub.seq(), 3);
  }
  ck_assert_int_eq(sub.next(0).code(), TC_ECLOSED); /* it may outlive the engine */
}
END_TEST

START_TEST(hooks_live_in_the_engine) {
  auto token = std::make_shared<std::atomic<int>>(0);
  std::atomic<int> filled(0);
  {
    tc::engine engine;
    {
      tc::options o;
      o.storage_url = "memory:";
      o.hooks.wall_us = [token] { return std::int64_t(1700000000000000); };
      o.hooks.monotonic_us = [token] {
        auto now = std::chrono::steady_clock::now().time_since_epoch();
        return static_cast<std::int64_t>(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
      };
      o.hooks.random = [&filled](void *buf, std::size_t size) {
        filled++;
        std::memset(buf, 7, size);
        return true;
      };
      o.hooks.log = [token](std::int32_t, const char *) { (*token)++; };
      engine = tc::engine::open(o).or_throw();
    }
    ck_assert_int_eq(engine.tip_create(a_tip()).or_throw().value.created_at_us(), 1700000000000000);
    ck_assert_int_gt(filled, 0);
  }
  ck_assert_int_eq(token.use_count(), 1);
}
END_TEST

START_TEST(an_engine_is_not_closed_from_its_callback) {
  tc::engine engine = open_memory(TC_NO_THREADS);
  int code = 0;
  ck_assert(engine.tip_submit(a_tip(), [&](const tc::outcome &) { code = engine.close().code(); }).ok());
  until(engine, TC_NO_THREADS, [&] { return code != 0; });
  ck_assert_int_eq(code, TC_EINVAL);
  ck_assert(engine);
  ck_assert(engine.fd().ok() && engine.tick().ok());
  engine.shutdown();
  ck_assert_int_eq(engine.tip_create(a_tip()).code(), TC_ECLOSED);
  ck_assert(engine.close().ok());
}
END_TEST

START_TEST(refunds_goals_and_types) {
  tc::engine engine = open_memory();
  tc::goal_new g;
  g.room_id = "room";
  g.title = "microphone";
  g.target_amount = 5000;
  auto goal = engine.goal_create(g).or_throw().value;
  ck_assert(goal.title == "microphone" && goal.target_amount == 5000 && goal.status == TC_GOAL_OPEN && !goal.recipient_id.present());
  ck_assert(engine.goal_json_create("room", "{\"title\":\"two\",\"targetCount\":2}", "gk").ok());
  ck_assert_uint_eq(engine.goal_list("room")->size(), 2);
  ck_assert_int_eq(engine.goal_close(goal.id)->status, TC_GOAL_CLOSED);
  ck_assert_int_eq(engine.goal_get(goal.id)->status, TC_GOAL_CLOSED);
  ck_assert_int_eq(engine.goal_get(77).code(), TC_ENOTFOUND);

  auto tip = engine.tip_create(a_tip(1000)).or_throw().value;
  tc::refund_new r;
  r.tip_id = tip.id();
  r.amount = 400;
  ck_assert_int_eq(engine.tip_refund(r)->value.amount(), 400);
  std::atomic<int> code(1);
  ck_assert(engine.tip_refund_json_submit(tip.id(), "{\"amount\":7.00}", tc::text(), [&](const tc::outcome &o) { code = o.code; }).ok());
  until(engine, 0, [&] { return code != 1; });
  ck_assert_int_eq(code, TC_ELIMIT);
  r.amount = 0;
  ck_assert(engine.tip_refund_submit(r, [&](const tc::outcome &o) { code = o.code; }).ok());
  until(engine, 0, [&] { return code == TC_OK; });
  ck_assert_int_eq(*engine.tip_refunded(tip), 1000);

  auto type = engine.event_type_create("hype_train", "choo").or_throw();
  ck_assert(!type.replayed && type.value.name == "hype_train" && type.value.description == "choo");
  ck_assert(engine.event_type_create("hype_train", "choo")->replayed);
  ck_assert_uint_eq(engine.event_type_list()->size(), 1);
  tc::activity_new a;
  a.type = "hype_train";
  a.room_id = "room";
  a.user_id = "carol";
  a.count = 3;
  auto event = engine.activity_create(a).or_throw().value;
  ck_assert_int_eq(event.number(TC_FIELD_COUNT), 3);
  ck_assert_int_eq(engine.activity_get("hype_train", event.id())->seq(), event.seq());
  std::atomic<int> heard(0);
  ck_assert(engine.activity_submit(a, [&](const tc::outcome &) { heard++; }).ok());
  ck_assert(
    engine.activity_json_submit("{\"type\":\"follow\",\"roomId\":\"room\",\"userId\":\"dan\"}", tc::text(), [&](const tc::outcome &) { heard++; }).ok());
  until(engine, 0, [&] { return heard == 2; });
  tc::activity_query q;
  q.type = "hype_train";
  ck_assert_int_eq(engine.activity_list(q)->total(), 2);
  ck_assert(engine.event_type_delete("hype_train").ok());
}
END_TEST

START_TEST(reactions_statistics_and_boards) {
  tc::engine engine = open_memory();
  tc::reaction_new r;
  r.room_id = "room";
  r.user_id = "alice";
  r.emoji = "\xf0\x9f\x94\xa5";
  auto fire = engine.reaction_create(r).or_throw().value;
  ck_assert_int_eq(engine.reaction_get(fire.id())->seq(), fire.seq());
  std::atomic<int> heard(0);
  ck_assert(engine.reaction_submit(r, [&](const tc::outcome &) { heard++; }).ok());
  ck_assert(engine.tip_create(a_tip(250)).ok());
  ck_assert(engine.tip_create(a_tip(350)).ok());
  until(engine, 0, [&] { return heard == 1 && engine.get_status()->stats_seq == 4; });
  tc::reaction_query rq;
  rq.emoji = r.emoji;
  ck_assert_int_eq(engine.reaction_list(rq)->total(), 2);

  tc::stats_query sq;
  sq.room_id = "room";
  sq.grain = TC_GRAIN_MONTH;
  auto months = engine.stats_periods(sq).or_throw();
  int rows = 0;
  for (const tc_stats_row &row : months) rows += row.tips > 0;
  ck_assert_int_ge(rows, 1);
  const tc_stats_row total = months.total();
  same(total.total_amount, "6.00");
  same(months.currencies(), "");
  ck_assert_int_eq(months.at(99).tips, 0);
  same(engine.stats_emojis(sq)->at(0).name, r.emoji.c_str());
  same(engine.stats_recipients(sq)->at(0).name, "bob");
  ck_assert_int_eq(*engine.stats_rebuild(INT64_MIN, INT64_MAX), 0);

  tc::board_query bq;
  bq.room_id = "room";
  auto board = engine.board_top(bq).or_throw();
  ck_assert_uint_eq(board.size(), 1);
  for (const tc_board_row &row : board) same(row.user_id, "alice");
  ck_assert(board.span().first == INT64_MIN && board.span().second == INT64_MAX);
  ck_assert_int_eq(engine.board_rank(bq, "alice")->amount, 600);
  ck_assert_int_eq(engine.board_rank(bq, "nobody").code(), TC_ENOTFOUND);
}
END_TEST

START_TEST(webhooks) {
  tc::engine engine = open_memory();
  tc::webhook_new w;
  w.url = "https://example.com/hook";
  w.events = "tip.created";
  w.secret = "whisper";
  w.idempotency_key = "wk";
  auto made = engine.webhook_create(w).or_throw();
  ck_assert(!made.replayed && engine.webhook_create(w)->replayed);
  ck_assert(has(made.value.json.c_str(), "tip.created"));
  ck_assert(!has(made.value.json.c_str(), "whisper"));
  tc::webhook_change off;
  off.enabled = -1;
  ck_assert(has(engine.webhook_update(made.value.id, off)->json.c_str(), "\"enabled\":false"));
  ck_assert_uint_eq(engine.webhook_list()->size(), 1);
  ck_assert_uint_eq(engine.webhook_list(false, "other")->size(), 0);
  ck_assert(engine.webhook_get(made.value.id)->json.size() > 0);
  ck_assert_int_eq(engine.webhook_deliveries(made.value.id, 0, 20)->total, 0);
  ck_assert_int_eq(engine.webhook_resend(made.value.id, 1).code(), TC_ENOTFOUND);
  ck_assert_int_eq(engine.webhook_test(99).code(), TC_ENOTFOUND);
  ck_assert_int_eq(engine.webhook_replay(99, 1, 1).code(), TC_ENOTFOUND);
  ck_assert_int_eq(engine.webhook_replay_time(99, 0, 1).code(), TC_ENOTFOUND);
  ck_assert(engine.webhook_delete(made.value.id).ok());
  ck_assert_int_eq(engine.webhook_get(made.value.id).code(), TC_ENOTFOUND);
}
END_TEST

START_TEST(batches_amounts_and_layouts) {
  tc::engine engine = open_memory();
  const std::string good = "{\"roomId\":\"r\",\"senderId\":\"a\",\"recipientId\":\"b\",\"amount\":\"1.50\"}\n";
  auto batch = engine.batch_submit(TC_KIND_TIP, good + "{}\n" + good).or_throw();
  ck_assert(batch.wait().ok());
  ck_assert_uint_eq(batch.size(), 3);
  ck_assert_uint_eq(batch.failed(), 1);
  ck_assert(engine.close().ok());
  std::string codes;
  for (const tc::outcome &o : batch) codes += std::to_string(o.code) + " ";
  same(codes.c_str(), "0 -1 0 ");
  ck_assert_int_eq(batch.at(2).value.amount(), 150);
  ck_assert_int_eq(batch.at(3).code, TC_ENOTFOUND);
  ck_assert_int_eq(engine.batch_submit(TC_KIND_TIP, good).code(), TC_EINVAL);
  ck_assert_int_eq(*tc::amount_parse("12.30"), 1230);
  ck_assert_int_eq(tc::amount_parse("12.305").code(), TC_EINVAL);
  ck_assert(tc::amount_format(1230) == "12.30");
  std::size_t rows = 0;
  ck_assert_uint_eq(tc::abi_version(), TC_ABI_VERSION);
  ck_assert_ptr_nonnull(tc::abi_layout(&rows));
  ck_assert_uint_gt(rows, 100);
}
END_TEST

START_TEST(logs_are_checked_copied_and_moved) {
  char name[] = "/tmp/tipcurrent-cpp-XXXXXX";
  ck_assert_ptr_nonnull(mkdtemp(name));
  const std::string dir = name, url = "sqlite:" + dir + "/tc.db";
  tc::options o;
  o.storage_url = url;
  auto opened = tc::engine::open(o);
  ck_assert_msg(opened.ok(), "%s", opened.message().c_str());
  {
    tc::engine engine = std::move(opened).value();
    for (int i = 0; i < 3; i++) ck_assert(engine.tip_create(a_tip(i + 1)).ok());
    tc::move_watch watch;
    int told = 0;
    watch.progress = [&](const std::string &, std::int64_t, std::int64_t) { return ++told > 0; };
    ck_assert_int_eq((*tc::backup(url, dir + "/copy", watch)).log_seq, 3);
    ck_assert_int_gt(told, 0);
    ck_assert_int_eq((*tc::verify("sqlite:" + dir + "/copy/tc.db")).events, 3);
  }
  std::vector<tc::event> kept;
  auto all = tc::export_log(url, 1, 0, [&](const tc::event &event) { return kept.push_back(event), true; });
  ck_assert(all.ok());
  ck_assert_uint_eq(kept.size(), 2);
  ck_assert_int_eq(kept[1].number(TC_FIELD_AMOUNT), 3);
  ck_assert_int_eq(tc::export_log(url, 0, 0, [](const tc::event &) { return false; }).code(), TC_EUSER);
  ck_assert_int_eq((*tc::migrate(url, "sqlite:" + dir + "/there.db")).events, 3);
  tc::move_watch stop;
  stop.progress = [](const std::string &, std::int64_t, std::int64_t) { return false; };
  ck_assert_int_eq(tc::verify(url, stop).code(), TC_EUSER);
  auto refused = tc::import_log("sqlite:nothing", url);
  ck_assert(!refused.ok() && !refused.message().empty());
  ck_assert_int_eq(std::system(("rm -r " + dir).c_str()), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("cpp");
  TCase *tcase = tcase_create("cpp");
  tcase_add_test(tcase, a_tip_is_stored_once_and_found);
  tcase_add_test(tcase, pages_are_walked);
  tcase_add_test(tcase, what_fails_says_why);
  tcase_add_test(tcase, events_outlive_their_engine);
  tcase_add_loop_test(tcase, submitted_functions_run_once_and_go, 0, 2);
  tcase_add_loop_test(tcase, a_subscription_ends_from_inside, 0, 2);
  tcase_add_test(tcase, closing_waits_for_the_callback);
  tcase_add_test(tcase, pull_from_the_start_and_past_the_end);
  tcase_add_test(tcase, hooks_live_in_the_engine);
  tcase_add_test(tcase, an_engine_is_not_closed_from_its_callback);
  tcase_add_test(tcase, refunds_goals_and_types);
  tcase_add_test(tcase, reactions_statistics_and_boards);
  tcase_add_test(tcase, webhooks);
  tcase_add_test(tcase, batches_amounts_and_layouts);
  tcase_add_test(tcase, logs_are_checked_copied_and_moved);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
