/* filter.h - whether a record is what a list asks for. Pure. */
#ifndef TCI_MODEL_FILTER_H
#define TCI_MODEL_FILTER_H

#include "tipcurrent/sys/storage.h"

/* 1: the record has all the filter's values. Emoji of reactions are compared by what they are (emoji.h), all else byte for byte. */
int tci_filter_matches(const tc_filter *filter, const tc_record *record);

#endif
