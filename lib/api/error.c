#include "tipcurrent/error.h"

#include "model/fail.h"

const char *tc_version(void) { return TC_VERSION; }

const char *tc_strerror(int code) {
  switch (code) {
  case TC_OK: return "success";
#define TC_X(name, number, text) \
  case name: return text;
    TC_ERRORS(TC_X)
#undef TC_X
  default: return "unknown error";
  }
}

const char *tc_last_error(void) { return tci_fail_detail(); }
