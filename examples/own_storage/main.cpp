/* main.cpp - an engine on a storage of the program's own: tips that outlive the engine, in a file that only this program understands.
 *
 * c++ -std=c++11 *.cpp $(pkg-config --cflags --libs tipcurrent) && ./a.out journal:tips.journal
 */
#include <cstdio>
#include <cstdlib>
#include <string>
#include <tipcurrent.hpp>
#include <unistd.h>

#include "own_storage.h"

namespace {

int complain(const char *what, const tipcurrent::status &status) {
  std::fprintf(stderr, "%s: %s\n", what, status.message().c_str());
  return 1;
}

int give(tipcurrent::engine &engine) {
  tipcurrent::tip_new tip;
  tip.room_id = "gaming_stream_123";
  tip.sender_id = "alice";
  tip.recipient_id = "bob";
  tip.amount = 2500; /* 25.00: amounts are hundredths */
  tip.idempotency_key = "first";
  for (int i = 0; i < 2; i++) { /* twice the same key: the storage finds it again, also after the next open */
    auto made = engine.tip_create(tip);
    if (!made) return complain("tip", made);
    std::printf("%s tip %lld\n", made->replayed ? "known:" : "stored:", static_cast<long long>(made->value.id()));
  }
  return 0;
}

int list(tipcurrent::engine &engine) {
  tipcurrent::tip_query query;
  query.room_id = "gaming_stream_123";
  auto page = engine.tip_list(query);
  if (!page) return complain("list", page);
  std::printf("%lld in the room\n", static_cast<long long>(page->total()));
  return 0;
}

int with_engine(const std::string &url, int (*use)(tipcurrent::engine &)) {
  tipcurrent::options options;
  options.storage_url = url;
  options.storage_ops = journal_storage_ops();
  auto engine = tipcurrent::engine::open(options);
  if (!engine) return complain("open", engine);
  int failed = use(*engine);
  auto closed = engine->close();
  return closed ? failed : complain("close", closed);
}

} // namespace

int main(int argc, char **argv) {
  char directory[] = "/tmp/own-storage-XXXXXX";
  if (argc > 1) return with_engine(argv[1], give) || with_engine(argv[1], list);
  if (!mkdtemp(directory)) return std::perror(directory), 1;
  std::string path = std::string(directory) + "/tips.journal", url = "journal:" + path;
  int failed = with_engine(url, give) || with_engine(url, give) || with_engine(url, list);
  return unlink(path.c_str()) || rmdir(directory) || failed;
}
