/* money.h - decimal text to int64 hundredths and back, never through a double. Pure. */
#ifndef TCI_MODEL_MONEY_H
#define TCI_MODEL_MONEY_H

#include <stddef.h>
#include <stdint.h>

#define TCI_MONEY_TEXT_MAX 24 /* "-92233720368547758.08" and a NUL fit */

/* Reads a JSON number (RFC 8259 section 6 grammar, also when it came as a string). 0, or a static reason: "must be a number", "must be greater than 0",
 * "must have at most 2 decimals", "must be at most 92233720368547758.07". Linear in len whatever the exponent. */
const char *tci_money_parse(const char *text, size_t len, int64_t *hundredths);
/* The same for a whole number from 0 on ("5", "5.0", "5e0"): "must be a number", "must be a whole number", "must be at most 9223372036854775807". */
const char *tci_whole_parse(const char *text, size_t len, int64_t *value);
/* Two decimals always: 10000 -> "100.00". NUL-terminated; returns the length. */
size_t tci_money_format(int64_t hundredths, char out[TCI_MONEY_TEXT_MAX]);

#endif
