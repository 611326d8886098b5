/* Runs a fuzz target without libFuzzer: every corpus file as it is, then a number of mutations that depend on the seed alone.
 *
 * usage: TARGET [--runs N] [--seed S] FILE|DIRECTORY...
 * When a run aborts, the input is left in ./crash-TARGET and its number is printed: pass the file to replay it.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

#define INPUT_MAX 4096
#define CORPUS_MAX 1024
#define FILE_MAX (1 << 20)

typedef struct input {
  uint8_t *data;
  size_t size;
} input;

static input corpus[CORPUS_MAX];
static size_t corpus_count;
static uint64_t random_state;

/* For the handler: what is being run. */
static const uint8_t *current_data;
static size_t current_size;
static char crash_path[256];

static void save_current(int signal_number) {
  FILE *file = fopen(crash_path, "wb"); /* not async-signal-safe, but the process is lost already */
  if (file) {
    size_t written = fwrite(current_data, 1, current_size, file);
    fprintf(stderr, "%zu of %zu bytes of the input are in %s\n", written, current_size, crash_path);
    if (fclose(file)) perror(crash_path);
  }
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

static void die(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(2);
}

static uint64_t next_random(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state;
}

static size_t below(size_t limit) { return limit ? (size_t)(next_random() % limit) : 0; }

static void load_file(const char *path) {
  static uint8_t room[FILE_MAX];
  FILE *file = fopen(path, "rb");
  if (!file) die(path);
  size_t size = fread(room, 1, sizeof room, file);
  if (ferror(file) || fclose(file)) die(path);
  if (corpus_count == CORPUS_MAX) {
    fprintf(stderr, "more than %d corpus files\n", CORPUS_MAX);
    exit(2);
  }
  input *one = &corpus[corpus_count++];
  one->data = malloc(size ? size : 1);
  if (!one->data) die(path);
  memcpy(one->data, room, size);
  one->size = size;
}

static int is_visible(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static void load(const char *path) {
  struct stat info;
  if (stat(path, &info)) die(path);
  if (!S_ISDIR(info.st_mode)) {
    load_file(path);
    return;
  }
  struct dirent **entries;
  int count = scandir(path, &entries, is_visible, alphasort); /* sorted: the runs must not depend on the directory's order */
  if (count < 0) die(path);
  for (int i = 0; i < count; i++) {
    char inner[4096];
    if (snprintf(inner, sizeof inner, "%s/%s", path, entries[i]->d_name) >= (int)sizeof inner) {
      errno = ENAMETOOLONG;
      die(path);
    }
    load(inner);
    free(entries[i]);
  }
  free(entries);
}

/* An allocation of exactly its size, so that AddressSanitizer sees the first byte beyond. */
static void run(const uint8_t *data, size_t size) {
  uint8_t *exact = malloc(size ? size : 1);
  if (!exact) die("malloc");
  memcpy(exact, data, size);
  current_data = exact;
  current_size = size;
  (void)LLVMFuzzerTestOneInput(exact, size); /* libFuzzer reserves the value; 0 */
  free(exact);
}

static size_t replace(uint8_t *data, size_t size, size_t at, size_t gone, const uint8_t *with, size_t len) {
  if (gone > size - at) gone = size - at;
  if (size - gone + len > INPUT_MAX) return size;
  memmove(data + at + len, data + at + gone, size - at - gone);
  memcpy(data + at, with, len);
  return size - gone + len;
}

static size_t mutate(uint8_t *data, size_t size) {
  /* What the grammars under test are made of, beside single bytes. */
  static const char *const pieces[] = {
    "\"",   "\\",     "{",          "}",          "[",        "]",      ":", ",",    "\\u0000",      "\\ud83d", "\\udd25", "\xf0\x9f\x94\xa5",
    "null", "true",   "0",          "9",          ".",        "e",      "-", "1e17", "\r\n",         "\n",      "\r",      ": ",
    "%",    "&",      "=",          ";",          "\t",       " ",      "+", "\xc3", "\xed\xa0\x80", "ffff",    "00",      "\x01",
    "\x7f", "100.00", "\"amount\"", "\"roomId\"", "HTTP/1.1", "chunked"};
  size_t at = below(size + 1);
  uint8_t byte = (uint8_t)next_random();
  switch (next_random() % 7) {
  case 0: return replace(data, size, at, 1, &byte, 1);
  case 1: return replace(data, size, at, 0, &byte, 1);
  case 2: return replace(data, size, at, 1 + below(8), &byte, 0);
  case 3: {
    const char *piece = pieces[below(sizeof pieces / sizeof pieces[0])];
    return replace(data, size, at, below(3), (const uint8_t *)piece, strlen(piece));
  }
  case 4:
    if (at < size) data[at] ^= (uint8_t)(1u << below(8));
    return size;
  case 5: { /* a stretch of another input */
    const input *other = &corpus[below(corpus_count)];
    size_t from = below(other->size), len = below(other->size - from + 1);
    return replace(data, size, at, below(len + 1), other->data + from, len > 256 ? 256 : len);
  }
  default: { /* a stretch of its own, again */
    uint8_t copy[64];
    size_t len = size - at < sizeof copy ? size - at : sizeof copy;
    len = below(len + 1);
    memcpy(copy, data + at, len);
    return replace(data, size, at, 0, copy, len);
  }
  }
}

static void run_mutations(unsigned long runs) {
  static uint8_t data[INPUT_MAX];
  for (unsigned long i = 0; i < runs; i++) {
    const input *from = &corpus[below(corpus_count)];
    size_t size = from->size < INPUT_MAX ? from->size : INPUT_MAX;
    memcpy(data, from->data, size);
    for (size_t rounds = 1 + below(4); rounds; rounds--) size = mutate(data, size);
    run(data, size);
  }
}

static unsigned long number(const char *text, const char *option) {
  char *end = NULL;
  errno = 0;
  unsigned long value = text ? strtoul(text, &end, 10) : 0;
  if (!text || errno || end == text || *end) {
    fprintf(stderr, "%s needs a number\n", option);
    exit(2);
  }
  return value;
}

int main(int argc, char **argv) {
  unsigned long runs = 0, seed = 1;
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--runs")) {
      runs = number(argv[++i], "--runs");
    } else if (!strcmp(argv[i], "--seed")) {
      seed = number(argv[++i], "--seed");
    } else {
      load(argv[i]);
    }
  }
  if (!corpus_count) {
    fprintf(stderr, "no corpus: nothing would be tested\n");
    return 2;
  }
  const char *slash = strrchr(argv[0], '/');
  snprintf(crash_path, sizeof crash_path, "crash-%s", slash ? slash + 1 : argv[0]);
  if (signal(SIGABRT, save_current) == SIG_ERR) die("signal");
  random_state = 0x9e3779b97f4a7c15u ^ seed;
  for (size_t i = 0; i < corpus_count; i++) run(corpus[i].data, corpus[i].size);
  run_mutations(runs);
  printf("%zu corpus files, %lu mutations, seed %lu\n", corpus_count, runs, seed);
  for (size_t i = 0; i < corpus_count; i++) free(corpus[i].data);
  return 0;
}
