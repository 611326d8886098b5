/* tool.h - tipcurrentd WORD ...: what is done to a log once, in place of serving it. Each is one call of move.h, with its progress and its sums for people. */
#ifndef TCD_TOOLS_TOOL_H
#define TCD_TOOLS_TOOL_H

#include "server/config/config.h"
#include "server/tools/progress.h"

/* 0 and 2 are the daemon's own. */
enum { TCD_TOOL_OK = 0, TCD_TOOL_FAILED = 1, TCD_TOOL_USAGE = 2, TCD_TOOL_UNCHECKED = 3 };

enum { TCD_ARG_TO, TCD_ARG_FROM, TCD_ARG_KIND, TCD_ARG_FORMAT, TCD_ARG_AFTER, TCD_ARGS };

typedef struct tcd_tool_call {
  const tcd_config *config;
  const char *args[TCD_ARGS]; /* NULL: not given */
  tcd_progress progress;
  tc_move_options options;          /* with progress */
  char error[TCD_CONFIG_ERROR_MAX]; /* of TCD_TOOL_USAGE */
} tcd_tool_call;

/* export.c. An exit code; what is not OK has its reason in tc_last_error, or (TCD_TOOL_USAGE) in error. */
int tcd_tool_export(tcd_tool_call *call);

/* 1: argv[1] is the word of a tool. */
int tcd_tool_is(int argc, char *const *argv);
/* Runs it; the exit code. argv's passwords are covered. */
int tcd_tool_main(int argc, char **argv, char *const *env);
void tcd_tools_print_help(FILE *out);

#endif
