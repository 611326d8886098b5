#include "progress.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"

#define BAR_EVERY_US 100000
#define LINE_EVERY_US 5000000
#define BAR_WIDTH 30

static volatile sig_atomic_t stopped; /* a signal handler has nothing else */

static void stop(int number) {
  (void)number;
  stopped = 1;
}

void tcd_progress_init(tcd_progress *progress, FILE *out) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = stop;
  action.sa_flags = SA_RESTART | (int)SA_RESETHAND; /* the second one ends the process */
  (void)sigemptyset(&action.sa_mask);
  (void)sigaction(SIGINT, &action, NULL); /* fails only for signals that there are not */
  (void)sigaction(SIGTERM, &action, NULL);
  memset(progress, 0, sizeof *progress);
  progress->out = out;
  progress->terminal = isatty(fileno(out));
  progress->next_us = tci_sys_monotonic_us(NULL) + (progress->terminal ? BAR_EVERY_US : LINE_EVERY_US);
}

void tcd_progress_end(tcd_progress *progress) {
  if (progress->drawn) (void)fputs("\r\033[K", progress->out);
  (void)fflush(progress->out);
  progress->drawn = 0;
}

static void draw_bar(tcd_progress *progress, int64_t done, int64_t total) {
  char bar[BAR_WIDTH + 1];
  int filled = total ? (int)((double)done / (double)total * BAR_WIDTH) : 0;
  for (int i = 0; i < BAR_WIDTH; i++) bar[i] = i < filled ? '#' : '.';
  bar[BAR_WIDTH] = '\0';
  if (total)
    (void)fprintf(progress->out, "\r\033[K[%s] %3d%%  %" PRId64 " of %" PRId64 " %s", bar, (int)((double)done * 100 / (double)total), done, total,
                  progress->what);
  else (void)fprintf(progress->out, "\r\033[K%" PRId64 " %s", done, progress->what);
  (void)fflush(progress->out);
  progress->drawn = 1;
}

int tcd_progress_show(void *userdata, const char *what, int64_t done, int64_t total) {
  tcd_progress *progress = userdata;
  int64_t now_us = tci_sys_monotonic_us(NULL);
  int other = strcmp(progress->what, what) != 0;
  if (stopped) return 1;
  if (now_us < progress->next_us && !(other && progress->terminal)) return 0;
  (void)snprintf(progress->what, sizeof progress->what, "%s", what);
  progress->next_us = now_us + (progress->terminal ? BAR_EVERY_US : LINE_EVERY_US);
  if (progress->terminal) draw_bar(progress, done, total);
  else if (total) (void)fprintf(progress->out, "%" PRId64 " of %" PRId64 " %s\n", done, total, what);
  else (void)fprintf(progress->out, "%" PRId64 " %s\n", done, what);
  return 0;
}

void tcd_progress_note(void *userdata, const char *line) {
  tcd_progress *progress = userdata;
  tcd_progress_end(progress);
  (void)fprintf(progress->out, "%s\n", line);
}
