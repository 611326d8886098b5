/* secret.h - a URL for people to read, without what only the other end should. */
#ifndef TCI_BASE_SECRET_H
#define TCI_BASE_SECRET_H

/* Puts *** in place of the password in "scheme://user:password@host?password=...&sslpassword=...". In place; what has no "://" stays as it is. A password that should have been
 * written with %XX is covered too, at the worst with some of what follows. */
void tci_url_hide(char *url);

#endif
