/* overlay.cpp - libtipcurrent in C++: feeds a stream's overlay. Every event of the room becomes one line of JSON on standard output, and a banner says how far the goal is.
 *
 * c++ -std=c++11 overlay.cpp $(pkg-config --cflags --libs tipcurrent) && ./a.out sqlite:overlay.db
 */
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <tipcurrent.hpp>

namespace {

/* What the overlay shows. Filled by the engine's threads, so it has a lock; a real one would hand the lines to its web socket here. */
class overlay {
public:
  void show(const tipcurrent::event &event) {
    std::lock_guard<std::mutex> lock(mutex_);
    std::printf("%s\n", event.json());
    if (event.kind() == TC_KIND_GOAL_REACHED) std::printf("*** %s: done! ***\n", event.str(TC_FIELD_TITLE));
    shown_++;
    moved_.notify_all();
  }

  void wait_for(int events) {
    std::unique_lock<std::mutex> lock(mutex_);
    moved_.wait(lock, [&] { return shown_ >= events; });
  }

private:
  std::mutex mutex_;
  std::condition_variable moved_;
  int shown_ = 0;
};

int complain(const char *what, const tipcurrent::status &status) {
  std::fprintf(stderr, "%s: %s\n", what, status.message().c_str());
  return 1;
}

int run(tipcurrent::engine &engine, overlay &screen) {
  tipcurrent::goal_new goal;
  goal.room_id = "gaming_stream_123";
  goal.title = "a new microphone";
  goal.target_amount = 15000; /* 150.00: amounts are hundredths */
  auto made = engine.goal_create(goal);
  if (!made) return complain("goal", made);

  tipcurrent::tip_new tip;
  tip.room_id = "gaming_stream_123";
  tip.sender_id = "alice";
  tip.recipient_id = "bob";
  tip.amount = 10000;
  for (int i = 0; i < 2; i++) {
    /* Returns at once; the function runs after the commit, or never where the submit itself is refused. */
    auto taken = engine.tip_submit(tip, [](const tipcurrent::outcome &o) {
      if (!o.ok()) std::fprintf(stderr, "tip: %s\n", o.message.c_str());
    });
    if (!taken) return complain("tip", taken);
  }
  screen.wait_for(3); /* two tips, and the goal they reach */
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  tipcurrent::options options;
  options.storage_url = argc > 1 ? argv[1] : "memory:";
  options.hooks.log = [](int32_t level, const char *line) {
    if (level <= TC_LOG_WARN) std::fprintf(stderr, "%s\n", line);
  };
  auto opened = tipcurrent::engine::open(options);
  if (!opened) return complain("open", opened);
  tipcurrent::engine engine = std::move(opened).value();

  overlay screen;
  tipcurrent::sub_options room;
  room.room_id = "gaming_stream_123";
  auto following = engine.subscribe(room, [&](const tipcurrent::event &event) { screen.show(event); });
  if (!following) return complain("subscribe", following);

  int failed = run(engine, screen);
  following->close(); /* from here on nobody calls show */
  auto closed = engine.close();
  return closed ? failed : complain("close", closed);
}
