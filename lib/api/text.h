/* text.h - the caller's C strings as spans. */
#ifndef TCI_API_TEXT_H
#define TCI_API_TEXT_H

#include <string.h>

#include "tipcurrent/common.h"

static inline tc_text tci_text_of(const char *text) { return text ? (tc_text){text, strlen(text)} : (tc_text){NULL, 0}; }

#endif
