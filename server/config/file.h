/* file.h - the configuration file: `key = value` lines as inih reads them, under no section or [tipcurrent]. */
#ifndef TCD_CONFIG_FILE_H
#define TCD_CONFIG_FILE_H

#include "options.h"

/* Sets what the file says. 0, or -1 with one line in error that names the file and the line. */
int tcd_config_file(tcd_config *config, const char *path, char *error, size_t error_size);

#endif
