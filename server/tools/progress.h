/* progress.h - how far a tool is, on stderr: a bar on a terminal, now and then a line elsewhere. SIGINT and SIGTERM stop it at the next step, in order. */
#ifndef TCD_TOOLS_PROGRESS_H
#define TCD_TOOLS_PROGRESS_H

#include <stdio.h>

#include "tipcurrent.h"

typedef struct tcd_progress {
  FILE *out;
  int terminal;    /* out is one */
  int drawn;       /* a bar stands in the terminal's line */
  char what[32];   /* of the last bar or line */
  int64_t next_us; /* the next may be shown then */
} tcd_progress;

/* The signals are taken until the process ends. */
void tcd_progress_init(tcd_progress *progress, FILE *out);
/* As tc_move_options.progress and .note; userdata: the tcd_progress. */
int tcd_progress_show(void *userdata, const char *what, int64_t done, int64_t total);
void tcd_progress_note(void *userdata, const char *line);
void tcd_progress_end(tcd_progress *progress); /* takes the bar away */

#endif
