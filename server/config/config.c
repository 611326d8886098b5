#include "config.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "file.h"
#include "tipcurrent.h"

static const char *const actions[] = {NULL, "--check-config", "--print-defaults", "--help", "--version"};

/* One step over argv. An option's flag: its value is the text after '=' or the next argument; a switch may stand alone. */
typedef struct flag {
  const tcd_option *option; /* NULL: an action or --config */
  int action;
  const char *value;
} flag;

static int next_flag(int argc, char *const *argv, int *at, flag *out, char *error, size_t error_size) {
  const char *arg = argv[(*at)++];
  memset(out, 0, sizeof *out);
  for (int i = 1; i < (int)(sizeof actions / sizeof actions[0]); i++) {
    if (!strcmp(arg, actions[i])) {
      out->action = i;
      return 0;
    }
  }
  if (strncmp(arg, "--", 2) != 0 || !arg[2]) {
    (void)snprintf(error, error_size, "unexpected argument %s: see --help", arg);
    return -1;
  }
  const char *name = arg + 2, *equals = strchr(name, '=');
  size_t len = equals ? (size_t)(equals - name) : strlen(name);
  int config = len == 6 && !memcmp(name, "config", 6);
  out->option = config ? NULL : tcd_option_find(name, len);
  if (!config && !out->option) {
    const char *near = tcd_option_near(name, len);
    char flag_name[TCD_OPTION_NAME_MAX + 3] = "";
    if (near) tcd_option_flag(tcd_option_find(near, strlen(near)), flag_name);
    (void)snprintf(error, error_size, "unknown flag %.*s%s%s", (int)(len + 2), arg, near ? ": did you mean " : ": see --help", flag_name);
    return -1;
  }
  if (equals) {
    out->value = equals + 1;
  } else if (out->option && out->option->type == TCD_OPTION_SWITCH) {
    out->value = "true";
  } else if (*at < argc) {
    out->value = argv[(*at)++];
  } else {
    (void)snprintf(error, error_size, "%s needs a value", arg);
    return -1;
  }
  return 0;
}

static int set_defaults(tcd_config *config, char *error, size_t error_size) {
  for (size_t i = 0; i < tcd_option_count; i++) {
    if (tcd_option_set(&tcd_options[i], config, tcd_options[i].standard, "the defaults", error, error_size)) return -1;
  }
  return 0;
}

static const char *env_value(char *const *env, const char *name) {
  size_t len = strlen(name);
  for (; *env; env++) {
    if (!strncmp(*env, name, len) && (*env)[len] == '=') return *env + len + 1;
  }
  return NULL;
}

/* Only the names of the table are looked up, and unknown TIPCURRENT_* variables are no error: an orchestrator invents some (Kubernetes sets TIPCURRENT_PORT for a
 * service that is called tipcurrent). */
static int set_from_env(tcd_config *config, char *const *env, char *error, size_t error_size) {
  for (size_t i = 0; i < tcd_option_count; i++) {
    char name[TCD_OPTION_NAME_MAX + 12];
    tcd_option_env(&tcd_options[i], name);
    const char *value = env_value(env, name);
    if (value && tcd_option_set(&tcd_options[i], config, value, name, error, error_size)) return -1;
  }
  return 0;
}

static int set_from_flags(tcd_config *config, int argc, char *const *argv, char *error, size_t error_size) {
  for (int at = 1; at < argc;) {
    flag f;
    if (next_flag(argc, argv, &at, &f, error, error_size)) return -1;
    if (!f.option) continue;
    char name[TCD_OPTION_NAME_MAX + 3];
    tcd_option_flag(f.option, name);
    if (tcd_option_set(f.option, config, f.value, name, error, error_size)) return -1;
  }
  return 0;
}

int tcd_listen_is_loopback(const char *listen) {
  const char *colon = strrchr(listen, ':');
  size_t len = colon ? (size_t)(colon - listen) : strlen(listen);
  char host[64];
  if (len == 0 || len >= sizeof host) return 0;
  memcpy(host, listen, len);
  host[len] = '\0';
  struct in_addr v4;
  if (!strcasecmp(host, "localhost")) return 1;
  if (inet_pton(AF_INET, host, &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  if (host[0] != '[' || host[len - 1] != ']') return 0;
  host[len - 1] = '\0';
  struct in6_addr v6;
  return inet_pton(AF_INET6, host + 1, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* ADDRESS:PORT as far as it can be told without asking the system for the address. */
static int listen_is_good(const char *listen) {
  const char *colon = strrchr(listen, ':');
  unsigned port = 0;
  if (!colon || !colon[1]) return 0;
  for (const char *at = colon + 1; *at; at++) {
    if (*at < '0' || *at > '9') return 0;
    port = port * 10 + (unsigned)(*at - '0');
    if (port > 65535) return 0;
  }
  return *listen == '[' ? colon > listen && colon[-1] == ']' : !memchr(listen, ':', (size_t)(colon - listen));
}

static int check_together(const tcd_config *config, char *error, size_t error_size) {
  if (!listen_is_good(config->listen)) {
    (void)snprintf(error, error_size, "listen: \"%s\" is not ADDRESS:PORT with a port from 0 to 65535, such as 127.0.0.1:8080 or [::1]:8080", config->listen);
    return -1;
  }
  if (!config->allow_unauthenticated && !tcd_listen_is_loopback(config->listen)) {
    (void)snprintf(error, error_size,
                   "listen: %s is not a loopback address, and there are no API keys yet to tell who may write: "
                   "add --allow-unauthenticated to let everybody in who reaches it",
                   config->listen);
    return -1;
  }
  uint64_t body = config->max_body_bytes > config->max_batch_bytes ? config->max_body_bytes : config->max_batch_bytes;
  if (config->max_buffered_bytes < body) {
    (void)snprintf(error, error_size, "max_buffered_bytes: %llu is less than one body may have (%llu)", (unsigned long long)config->max_buffered_bytes,
                   (unsigned long long)body);
    return -1;
  }
  return 0;
}

int tcd_config_load(tcd_config *out, int *action, int argc, char *const *argv, char *const *env, char *error, size_t error_size) {
  tcd_config config;
  memset(&config, 0, sizeof config);
  const char *path = env_value(env, "TIPCURRENT_CONFIG");
  int wanted = TCD_RUN;
  if (set_defaults(&config, error, error_size)) goto fail;
  for (int at = 1; at < argc;) {
    flag f;
    if (next_flag(argc, argv, &at, &f, error, error_size)) goto fail;
    if (f.action > wanted) wanted = f.action;
    if (!f.option && !f.action) path = f.value;
  }
  if (wanted == TCD_RUN || wanted == TCD_CHECK_CONFIG) {
    if (path && *path && tcd_config_file(&config, path, error, error_size)) goto fail;
    if (set_from_env(&config, env, error, error_size)) goto fail;
    if (set_from_flags(&config, argc, argv, error, error_size)) goto fail;
    if (check_together(&config, error, error_size)) goto fail;
  }
  *out = config;
  *action = wanted;
  return 0;
fail:
  tcd_config_free(&config);
  return -1;
}

void tcd_config_free(tcd_config *config) {
  if (!config) return;
  for (size_t i = 0; i < tcd_option_count; i++) {
    if (tcd_options[i].type != TCD_OPTION_TEXT && tcd_options[i].type != TCD_OPTION_LIST) continue;
    char *text;
    memcpy(&text, (char *)config + tcd_options[i].offset, sizeof text);
    tci_free(text);
  }
  memset(config, 0, sizeof *config);
}

int tcd_config_read_secret(const char *path, char *out, size_t size) {
  FILE *file = fopen(path, "re");
  size_t len = file ? fread(out, 1, size - 1, file) : 0;
  int bad = !file || ferror(file) || !len;
  if (file) (void)fclose(file); /* only read from */
  while (len && strchr("\r\n\t ", out[len - 1])) len--;
  out[len] = '\0';
  return bad ? -1 : 0;
}

void tcd_config_print(const tcd_config *config, FILE *out) {
  for (size_t i = 0; i < tcd_option_count; i++) {
    char range[128];
    tcd_option_range(&tcd_options[i], range, sizeof range);
    (void)fprintf(out, "# %s; %s\n", tcd_options[i].help, range);
    tcd_option_print(&tcd_options[i], config, out);
  }
}

void tcd_config_print_help(FILE *out) {
  (void)fprintf(out, "tipcurrentd %s: tips, reactions and what follows, over HTTP\n\nusage: tipcurrentd [--OPTION VALUE]...\n\n", TC_VERSION);
  for (size_t i = 0; i < tcd_option_count; i++) {
    char name[TCD_OPTION_NAME_MAX + 3], range[128];
    tcd_option_flag(&tcd_options[i], name);
    tcd_option_range(&tcd_options[i], range, sizeof range);
    (void)fprintf(out, "  %-26s %s\n  %-26s (%s; default %s)\n", name, tcd_options[i].help, "", range, tcd_options[i].standard);
  }
  (void)fputs(
    "  --config FILE              read `key = value` lines, keys as above with _ for -\n"
    "  --check-config             check everything, print what would be used, do not start\n"
    "  --print-defaults           print a file with all defaults\n"
    "  --help, --version\n\n"
    "Each option is also an environment variable: --max-body-bytes is TIPCURRENT_MAX_BODY_BYTES. Flags go before the environment, that before the file.\n",
    out);
}
