/* fuzz.h - what the fuzz targets share: the entry point that libFuzzer and standalone.c call, and an assertion that release builds keep. */
#ifndef TC_TESTS_FUZZ_H
#define TC_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOLDS(property)                                                             \
  do {                                                                              \
    if (!(property)) {                                                              \
      fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #property); \
      abort();                                                                      \
    }                                                                               \
  } while (0)

#endif
