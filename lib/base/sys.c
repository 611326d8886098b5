#include "sys.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "tipcurrent/error.h"

static int64_t now_us(clockid_t clock) {
  struct timespec ts;
  if (clock_gettime(clock, &ts)) return 0; /* cannot fail for these two clocks on Linux */
  return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t tci_sys_wall_us(void *unused) {
  (void)unused;
  return now_us(CLOCK_REALTIME);
}

int64_t tci_sys_monotonic_us(void *unused) {
  (void)unused;
  return now_us(CLOCK_MONOTONIC);
}

int tci_sys_random(void *unused, void *buf, size_t len) {
  (void)unused;
  unsigned char *at = buf;
  while (len) {
    ssize_t n = getrandom(at, len, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return TC_EUSER;
    at += n;
    len -= (size_t)n;
  }
  return 0;
}
