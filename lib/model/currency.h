/* currency.h - the codes of ISO 4217. Pure. */
#ifndef TCI_MODEL_CURRENCY_H
#define TCI_MODEL_CURRENCY_H

#include "tipcurrent/common.h"

#define TCI_CURRENCY_LEN 3
#define TCI_CURRENCY_STANDARD "USD" /* of a log that was told nothing else */

/* 1: text is one of the codes in use (list one, as of 2026-01), in capital letters. */
int tci_currency_known(tc_text text);

#endif
