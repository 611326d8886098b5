/* bench_tip.c - made-up tips. Written without printf: the producer must cost little beside what is measured, and both sides of a pair pay it alike. */
#include <string.h>

#include "bench_util.h"

static const char sentence[] = "Great play just now! Here is something for the next round, greetings from all of us over here, see you";

/* splitmix64: every number to another one, so that keys come in random order as UUIDs do, and a B-tree of them gets no easy run. */
static uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

static void put_name(char *out, const char *prefix, uint32_t number) {
  size_t n = strlen(prefix);
  memcpy(out, prefix, n);
  for (size_t i = n + 6; i-- > n; number /= 10) out[i] = (char)('0' + number % 10);
  out[n + 6] = '\0';
}

static void put_hex(char *out, uint64_t value) {
  for (size_t i = 16; i-- > 0; value >>= 4) out[i] = "0123456789abcdef"[value & 15];
}

void bench_tip_make(bench_tip *tip, uint64_t seed, uint64_t i, uint32_t senders) {
  uint64_t a = mix(seed ^ mix(i)), b = mix(a);
  put_name(tip->room, "room-", (uint32_t)(a % BENCH_ROOMS));
  put_name(tip->sender, "viewer-", (uint32_t)((a >> 20) % senders));
  put_name(tip->recipient, "caster-", (uint32_t)(a % BENCH_ROOMS));
  size_t length = 72 + (b & 15);
  memcpy(tip->message, sentence, length);
  tip->message[length] = '\0';
  memcpy(tip->metadata, "platform=web;campaign=autumn;locale=en-GB;", 42);
  tip->metadata[42] = '\0';
  put_hex(tip->key, a);
  put_hex(tip->key + 16, b);
  tip->key[32] = '\0';
  tip->amount = 100 + (int64_t)(b % 50000);
}

static size_t put(char *buf, size_t at, const char *text) {
  size_t n = strlen(text);
  memcpy(buf + at, text, n);
  return at + n;
}

static size_t put_number(char *buf, size_t at, int64_t value) {
  char digits[20];
  size_t n = 0;
  do digits[n++] = (char)('0' + value % 10);
  while (value /= 10);
  while (n) buf[at++] = digits[--n];
  return at;
}

size_t bench_tip_json(const bench_tip *tip, char *buf, size_t cap, int with_key) {
  size_t n = 0;
  if (cap < 512) bench_die("bench_tip_json: the buffer is too small");
  n = put(buf, n, "{\"roomId\":\"");
  n = put(buf, n, tip->room);
  n = put(buf, n, "\",\"senderId\":\"");
  n = put(buf, n, tip->sender);
  n = put(buf, n, "\",\"recipientId\":\"");
  n = put(buf, n, tip->recipient);
  n = put(buf, n, "\",\"amount\":");
  n = put_number(buf, n, tip->amount / 100);
  buf[n++] = '.';
  buf[n++] = (char)('0' + tip->amount / 10 % 10);
  buf[n++] = (char)('0' + tip->amount % 10);
  n = put(buf, n, ",\"message\":\"");
  n = put(buf, n, tip->message);
  n = put(buf, n, "\",\"metadata\":\"");
  n = put(buf, n, tip->metadata);
  buf[n++] = '"';
  if (with_key) {
    n = put(buf, n, ",\"idempotencyKey\":\"");
    n = put(buf, n, tip->key);
    buf[n++] = '"';
  }
  buf[n++] = '}';
  return n;
}
