/* config.h - the daemon's configuration: defaults, then the file, then the environment, then the flags; the last word counts. */
#ifndef TCD_CONFIG_CONFIG_H
#define TCD_CONFIG_CONFIG_H

#include "options.h"

enum { TCD_RUN, TCD_CHECK_CONFIG, TCD_PRINT_DEFAULTS, TCD_HELP, TCD_VERSION };

#define TCD_CONFIG_ERROR_MAX 1024

/* Fills *out (tcd_config_free frees it) and *action. argv[0] is passed over; env is a NULL-terminated list like environ. Every value is checked, one that a
 * stronger source overrides too. 0, or -1 with one line in error: which option, from where, the value, the range; *out is then left alone.
 * For TCD_PRINT_DEFAULTS, TCD_HELP and TCD_VERSION *out holds the defaults. */
int tcd_config_load(tcd_config *out, int *action, int argc, char *const *argv, char *const *env, char *error, size_t error_size);
void tcd_config_free(tcd_config *config);

/* webhook_secret_key_file: a file, not a flag, since arguments are for everybody to read. 0, or -1: it cannot be read, or is empty. */
int tcd_config_read_secret(const char *path, char *out, size_t size);

/* 1 when "ADDRESS:PORT" can only be reached from this machine. */
int tcd_listen_is_loopback(const char *listen);

void tcd_config_print(const tcd_config *config, FILE *out); /* a file that --config takes */
void tcd_config_print_help(FILE *out);

#endif
