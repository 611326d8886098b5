#include "tool.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/secret.h"

#define WORDS_MAX 128 /* arguments; there are not half as many options */

/* Of tools alone; all options of the daemon are flags beside them. */
static const char *const arg_names[TCD_ARGS] = {
  [TCD_ARG_TO] = "--to", [TCD_ARG_FROM] = "--from", [TCD_ARG_KIND] = "--kind", [TCD_ARG_FORMAT] = "--format", [TCD_ARG_AFTER] = "--after"};

static int run_backup(tcd_tool_call *call) {
  tc_move_counts counts = TC_MOVE_COUNTS_INIT;
  if (tc_backup(call->config->storage, call->args[TCD_ARG_TO], &call->options, &counts)) return TCD_TOOL_FAILED;
  tcd_progress_end(&call->progress);
  (void)printf("copied up to event %" PRId64 "\n", counts.log_seq);
  return TCD_TOOL_OK;
}

static int run_verify(tcd_tool_call *call) {
  tc_move_counts counts = TC_MOVE_COUNTS_INIT;
  int rc = tc_verify(call->config->storage, &call->options, &counts);
  if (rc && rc != TC_ECORRUPT) return TCD_TOOL_UNCHECKED;
  tcd_progress_end(&call->progress);
  (void)printf("%" PRId64 " events, %" PRId64 " documents, %" PRId64 " idempotency keys looked at: %s\n", counts.events, counts.documents, counts.keys,
               rc ? "damaged" : "whole");
  return rc ? TCD_TOOL_FAILED : TCD_TOOL_OK;
}

static int run_migrate(tcd_tool_call *call) {
  tc_move_counts counts = TC_MOVE_COUNTS_INIT;
  if (tc_migrate(call->args[TCD_ARG_FROM], call->args[TCD_ARG_TO], &call->options, &counts)) return TCD_TOOL_FAILED;
  tcd_progress_end(&call->progress);
  (void)printf("%" PRId64 " events (%" PRId64 " now), %" PRId64 " documents, %" PRId64 " owed deliveries, %" PRId64
               " rows of the delivery log; all events are the same\n",
               counts.log_seq, counts.events, counts.documents, counts.owed, counts.deliveries);
  return TCD_TOOL_OK;
}

static int run_import(tcd_tool_call *call) {
  tc_move_counts counts = TC_MOVE_COUNTS_INIT;
  const char *path = call->config->webhook_secret_key_file;
  char secret_key[128] = "";
  if (strcmp(path, "none") != 0) {
    if (tcd_config_read_secret(path, secret_key, sizeof secret_key)) {
      (void)snprintf(call->error, sizeof call->error, "webhook_secret_key_file: cannot read %s", path);
      return TCD_TOOL_FAILED;
    }
    call->options.secret_key = secret_key;
  }
  int rc = tc_import(call->args[TCD_ARG_FROM], call->config->storage, &call->options, &counts);
  memset(secret_key, 0, sizeof secret_key);
  if (rc) return TCD_TOOL_FAILED;
  tcd_progress_end(&call->progress);
  (void)printf("%" PRId64 " events now, up to event %" PRId64 "; %" PRId64 " webhooks, %" PRId64 " idempotency keys; %" PRId64 " irregular, %" PRId64
               " left out; the counts are the source's\n",
               counts.events, counts.log_seq, counts.documents, counts.keys, counts.irregular, counts.left_out);
  return TCD_TOOL_OK;
}

typedef struct tool {
  const char *word;
  int (*run)(tcd_tool_call *call); /* an exit code; what is not OK has its reason in tc_last_error */
  unsigned needs, takes;           /* 1 << TCD_ARG_X */
  const char *help;
} tool;

#define ARG(name) (1u << TCD_ARG_##name)
static const tool tools[] = {
  {"backup", run_backup, ARG(TO), ARG(TO), "copy a SQLite log, its index and what is owed into a directory, while it is in use: --to DIRECTORY"},
  {"verify", run_verify, 0, 0, "check a log, while it is in use: 0 whole, 1 damaged, 3 not checked"},
  {"export", tcd_tool_export, 0, ARG(KIND) | ARG(FORMAT) | ARG(AFTER),
   "write a log to stdout, while it is in use: --kind tips|reactions|all, --format ndjson|csv, --after SEQ"},
  {"migrate", run_migrate, ARG(FROM) | ARG(TO), ARG(FROM) | ARG(TO), "carry a log over into another storage: --from URL --to URL"},
  {"import", run_import, ARG(FROM), ARG(FROM), "take over tips, reactions, webhooks and live keys of the Java service: --from postgresql://USER@HOST/DATABASE"},
};

static const tool *find_tool(const char *word) {
  for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
    if (!strcmp(tools[i].word, word)) return &tools[i];
  }
  return NULL;
}

int tcd_tool_is(int argc, char *const *argv) { return argc > 1 && find_tool(argv[1]) != NULL; }

void tcd_tools_print_help(FILE *out) {
  (void)fputs("\ninstead of serving, `tipcurrentd WORD [--OPTION VALUE]...` does one thing to the log of --storage:\n", out);
  for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) (void)fprintf(out, "  %-26s %s\n", tools[i].word, tools[i].help);
}

/* The place of argv[*at] in arg_names, with its value, *at moved behind both; TCD_ARGS: it is none of them. *value NULL: there is none. */
static int take_arg(int argc, char *const *argv, int *at, const char **value) {
  const char *word = argv[*at];
  for (int i = 0; i < TCD_ARGS; i++) {
    size_t len = strlen(arg_names[i]);
    if (strncmp(word, arg_names[i], len) != 0 || (word[len] && word[len] != '=')) continue;
    *value = word[len] ? word + len + 1 : ++*at < argc ? argv[*at] : NULL;
    ++*at;
    return i;
  }
  return TCD_ARGS;
}

/* Sorts argv into what is the tool's and what is the daemon's. 0, or -1 with one line in error. */
static int sort_words(const tool *t, int argc, char **argv, tcd_tool_call *call, char **rest, int *rest_n, char *error, size_t error_size) {
  rest[(*rest_n)++] = argv[0];
  for (int at = 2; at < argc;) {
    const char *value = NULL;
    int i = take_arg(argc, argv, &at, &value);
    if (i == TCD_ARGS && *rest_n == WORDS_MAX) {
      (void)snprintf(error, error_size, "too many arguments");
      return -1;
    }
    if (i == TCD_ARGS) {
      rest[(*rest_n)++] = argv[at++];
      continue;
    }
    if (!(t->takes >> i & 1)) (void)snprintf(error, error_size, "%s takes no %s", t->word, arg_names[i]);
    else if (!value || !*value) (void)snprintf(error, error_size, "%s needs a value", arg_names[i]);
    else call->args[i] = value;
    if (!call->args[i]) return -1;
  }
  for (int i = 0; i < TCD_ARGS; i++) {
    if (!(t->needs >> i & 1) || call->args[i]) continue;
    (void)snprintf(error, error_size, "%s needs %s", t->word, arg_names[i]);
    return -1;
  }
  return 0;
}

/* `ps` shows argv to everybody: what is kept of it are copies. */
static int keep_args(tcd_tool_call *call, char *copies[TCD_ARGS], char *error, size_t error_size) {
  for (int i = 0; i < TCD_ARGS; i++) {
    if (!call->args[i]) continue;
    call->args[i] = copies[i] = tci_strndup(call->args[i], strlen(call->args[i]));
    if (copies[i]) continue;
    (void)snprintf(error, error_size, "out of memory");
    return -1;
  }
  return 0;
}

static int run(const tool *t, tcd_tool_call *call) {
  tcd_progress_init(&call->progress, stderr);
  call->options = (tc_move_options)TC_MOVE_OPTIONS_INIT;
  call->options.progress = tcd_progress_show;
  call->options.note = tcd_progress_note;
  call->options.userdata = &call->progress;
  call->options.idempotency_ttl_s = (uint32_t)call->config->idempotency_ttl_s;
  int status = t->run(call);
  tcd_progress_end(&call->progress);
  if (status) (void)fprintf(stderr, "tipcurrentd %s: %s\n", t->word, *call->error ? call->error : tc_last_error());
  if (!status && (fflush(stdout) || ferror(stdout))) {
    (void)fprintf(stderr, "tipcurrentd %s: cannot write to stdout\n", t->word);
    status = TCD_TOOL_FAILED;
  }
  return status;
}

int tcd_tool_main(int argc, char **argv, char *const *env) {
  const tool *t = find_tool(argv[1]);
  char error[TCD_CONFIG_ERROR_MAX], *rest[WORDS_MAX + 1] = {NULL}, *copies[TCD_ARGS] = {NULL};
  int rest_n = 0, action = TCD_RUN, status = TCD_TOOL_USAGE;
  tcd_config config;
  tcd_tool_call call;
  memset(&config, 0, sizeof config);
  memset(&call, 0, sizeof call);
  call.config = &config;
  int bad = argc == 3 && !strcmp(argv[2], "--help") ? 0 : sort_words(t, argc, argv, &call, rest, &rest_n, error, sizeof error);
  if (!rest_n) action = TCD_HELP;
  if (!bad && action == TCD_RUN) bad = tcd_config_load(&config, &action, rest_n, rest, env, error, sizeof error);
  if (!bad) bad = keep_args(&call, copies, error, sizeof error);
  for (int i = 1; i < argc; i++) tci_url_hide(argv[i]);
  if (!bad && action == TCD_RUN) {
    status = run(t, &call);
  } else if (!bad) {
    tcd_tools_print_help(stdout);
    status = TCD_TOOL_OK;
  } else {
    tci_url_hide(error);
    (void)fprintf(stderr, "tipcurrentd %s: %s\n", t->word, error);
  }
  for (int i = 0; i < TCD_ARGS; i++) tci_free(copies[i]);
  tcd_config_free(&config);
  return status;
}
