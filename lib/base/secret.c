#include "base/secret.h"

#include <string.h>

/* The bytes at `from` become "***", or as many stars as there were bytes; what is left over at the end becomes NUL. Returns the place behind the stars. */
static char *cover(char *from, size_t len) {
  size_t stars = len < 3 ? len : 3, rest = strlen(from + len);
  memset(from, '*', stars);
  memmove(from + stars, from + len, rest);
  memset(from + stars + rest, 0, len - stars);
  return from + stars;
}

void tci_url_hide(char *url) {
  static const char *const names[] = {"password=", "sslpassword="};
  char *start = strstr(url, "://");
  if (!start) return;
  start += 3;
  char *at = strrchr(start, '@'), *colon = strchr(start, ':');
  if (at && colon && colon < at) start = cover(colon + 1, (size_t)(at - colon - 1));
  for (char *name = strpbrk(start, "?&"); name; name = strpbrk(name, "?&")) {
    name++;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
      size_t len = strlen(names[i]);
      if (!strncmp(name, names[i], len)) name = cover(name + len, strcspn(name + len, "&"));
    }
  }
}
