#include "log.h"

#include <stdio.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/timefmt.h"

static void write_line(void *userdata, int32_t level, const char *line) {
  static const char *const names[] = {"error", "warn", "info", "debug"};
  const tcd_stderr *sink = userdata;
  char text[1024], when[TCI_RFC3339_MS_LEN];
  if (level < TC_LOG_ERROR || level > sink->level) return;
  tci_time_format_ms(tci_sys_wall_us(NULL), when);
  int len = snprintf(text, sizeof text, "%.*s %s %s\n", (int)sizeof when, when, level <= TC_LOG_DEBUG ? names[level - 1] : "debug", line);
  if (len < 0) return;
  if ((size_t)len >= sizeof text) {
    len = (int)sizeof text - 1;
    text[len - 1] = '\n'; /* cut, but still a line */
  }
  ssize_t written = write(STDERR_FILENO, text, (size_t)len); /* one call, so that lines of several threads stay whole */
  (void)written;                                             /* there is nowhere to complain */
}

tc_log tcd_stderr_log(tcd_stderr *sink) {
  tc_log log = TC_LOG_INIT;
  log.write = write_line;
  log.userdata = sink;
  return log;
}
