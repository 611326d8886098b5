#include "libcurl.h"

#include <stdio.h>

#include "tipcurrent/error.h"
#include "transport.h"

#define OLDEST 0x075700 /* 7.84: curl_global_init from any thread; 7.87: CURLOPT_QUICK_EXIT, which curl.c cannot do without */

#define NAME(name) #name,
static const char *const names[] = {TCI_LIBCURL_FUNCTIONS(NAME)};
tci_libcurl_functions tci_libcurl;
_Static_assert(sizeof tci_libcurl == sizeof names, "a pointer for each name");

tci_library tci_libcurl_library = TCI_LIBRARY_INIT("libcurl.so.4", names, tci_libcurl);

int tci_curl_load(char why[TCI_LIBRARY_WHY_SIZE]) {
  int rc = tci_library_load(&tci_libcurl_library, why);
  if (rc) return rc;
  const curl_version_info_data *found = curl_version_info(CURLVERSION_NOW);
  if (found->version_num >= OLDEST) return TC_OK;
  (void)snprintf(why, TCI_LIBRARY_WHY_SIZE, "%s is of version %s, needed is 7.87", tci_libcurl_library.file, found->version);
  return TC_ENOTSUP;
}
