/* libcurl.h - libcurl, loaded with the first webhook. Instead of <curl/curl.h>. */
#ifndef TCI_WEBHOOK_LIBCURL_H
#define TCI_WEBHOOK_LIBCURL_H

#define CURL_DISABLE_TYPECHECK /* its macros of that kind call by name */
#include <curl/curl.h>

#include "base/library.h"

#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

#define TCI_LIBCURL_FUNCTIONS(X) \
  X(curl_easy_cleanup)           \
  X(curl_easy_getinfo)           \
  X(curl_easy_init)              \
  X(curl_easy_setopt)            \
  X(curl_easy_strerror)          \
  X(curl_global_cleanup)         \
  X(curl_global_init)            \
  X(curl_multi_add_handle)       \
  X(curl_multi_cleanup)          \
  X(curl_multi_info_read)        \
  X(curl_multi_init)             \
  X(curl_multi_remove_handle)    \
  X(curl_multi_setopt)           \
  X(curl_multi_socket_action)    \
  X(curl_version_info)

typedef struct tci_libcurl_functions {
#define TCI_LIBCURL_MEMBER(name) __typeof__(name) *name;
  TCI_LIBCURL_FUNCTIONS(TCI_LIBCURL_MEMBER)
#undef TCI_LIBCURL_MEMBER
} tci_libcurl_functions;

extern tci_library tci_libcurl_library;
extern tci_libcurl_functions tci_libcurl; /* not before tci_curl_load (transport.h) said TC_OK */

/* One that is missing here does not link: nothing is linked with libcurl. */
#define curl_easy_cleanup tci_libcurl.curl_easy_cleanup
#define curl_easy_getinfo tci_libcurl.curl_easy_getinfo
#define curl_easy_init tci_libcurl.curl_easy_init
#define curl_easy_setopt tci_libcurl.curl_easy_setopt
#define curl_easy_strerror tci_libcurl.curl_easy_strerror
#define curl_global_cleanup tci_libcurl.curl_global_cleanup
#define curl_global_init tci_libcurl.curl_global_init
#define curl_multi_add_handle tci_libcurl.curl_multi_add_handle
#define curl_multi_cleanup tci_libcurl.curl_multi_cleanup
#define curl_multi_info_read tci_libcurl.curl_multi_info_read
#define curl_multi_init tci_libcurl.curl_multi_init
#define curl_multi_remove_handle tci_libcurl.curl_multi_remove_handle
#define curl_multi_setopt tci_libcurl.curl_multi_setopt
#define curl_multi_socket_action tci_libcurl.curl_multi_socket_action
#define curl_version_info tci_libcurl.curl_version_info

#endif
