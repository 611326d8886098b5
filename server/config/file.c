#include "file.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>

typedef struct reading {
  FILE *file;
  const char *path;
  tcd_config *config;
  unsigned line;
  int failed;
  uint64_t seen; /* a bit an option */
  char *error;
  size_t error_size;
} reading;

/* Our own reader beside inih's: it counts lines for the messages, and finds lines that inih's fixed buffer would cut in two and misread. */
static char *read_line(char *text, int size, void *stream) {
  reading *r = stream;
  if (r->failed || !fgets(text, size, r->file)) return NULL;
  r->line++;
  size_t len = strlen(text);
  if (len + 1 == (size_t)size && text[len - 1] != '\n') {
    (void)snprintf(r->error, r->error_size, "%s:%u: the line is longer than %d bytes", r->path, r->line, size - 2);
    r->failed = 1;
    return NULL;
  }
  return text;
}

static int take(void *user, const char *section, const char *name, const char *value) {
  reading *r = user;
  if (r->failed) return 0;
  r->failed = 1;
  if (*section && strcmp(section, "tipcurrent") != 0) {
    (void)snprintf(r->error, r->error_size, "%s:%u: unknown section [%s]: options stand under none or under [tipcurrent]", r->path, r->line, section);
    return 0;
  }
  const tcd_option *option = tcd_option_find(name, strlen(name));
  if (!option) {
    const char *near = tcd_option_near(name, strlen(name));
    (void)snprintf(r->error, r->error_size, "%s:%u: unknown option %s%s%s", r->path, r->line, name, near ? ": did you mean " : "", near ? near : "");
    return 0;
  }
  uint64_t bit = (uint64_t)1 << (option - tcd_options); /* fewer than 64 options: a unit test says so */
  if (r->seen & bit) {
    (void)snprintf(r->error, r->error_size, "%s:%u: %s is given twice", r->path, r->line, name);
    return 0;
  }
  r->seen |= bit;
  char source[512];
  (void)snprintf(source, sizeof source, "%s:%u", r->path, r->line);
  r->failed = tcd_option_set(option, r->config, value, source, r->error, r->error_size) != 0;
  return !r->failed;
}

int tcd_config_file(tcd_config *config, const char *path, char *error, size_t error_size) {
  reading r = {.path = path, .config = config, .error = error, .error_size = error_size};
  r.file = fopen(path, "re");
  if (!r.file) {
    (void)snprintf(error, error_size, "config: cannot read %s: %s", path, strerror(errno));
    return -1;
  }
  int rc = ini_parse_stream(read_line, &r, take, &r);
  if (!r.failed && ferror(r.file)) {
    (void)snprintf(error, error_size, "config: cannot read %s: %s", path, strerror(errno));
    r.failed = 1;
  } else if (!r.failed && rc) {
    if (rc > 0) (void)snprintf(error, error_size, "%s:%d: not a line of the form key = value", path, rc);
    else (void)snprintf(error, error_size, "%s: out of memory", path);
    r.failed = 1;
  }
  int closed = fclose(r.file);
  (void)closed; /* read only: nothing can be lost */
  return r.failed ? -1 : 0;
}
