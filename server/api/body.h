/* body.h - a small JSON object as a request's body: some members of one type each. */
#ifndef TCD_API_BODY_H
#define TCD_API_BODY_H

#include "server/exchange.h"

#define TCD_BODY_MEMBERS 8

enum { TCD_MEMBER_TEXT, TCD_MEMBER_MONEY /* a number, or a string that holds one: as its text */ };

typedef struct tcd_member {
  const char *name;
  int type;
} tcd_member;

typedef struct tcd_body {
  const char *values[TCD_BODY_MEMBERS]; /* NUL-terminated; NULL: absent, or null */
  char *storage;                        /* owned */
} tcd_body;

/* An empty body counts as {}, if optional. 0, or -1 with the reply filled. tcd_body_free either way. */
int tcd_body_read(const tcd_request *request, const tcd_member *members, size_t count, int optional, tcd_body *out, tcd_reply *reply);
void tcd_body_free(tcd_body *body);

#endif
