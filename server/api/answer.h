/* answer.h - what all handlers answer alike: the error shape, and how the library's codes become statuses. */
#ifndef TCD_API_ANSWER_H
#define TCD_API_ANSWER_H

#include "server/exchange.h"

/* Fills reply with {"timestamp","status","error","path","message"}; the path is reply->request's as it was sent. 503 brings a Retry-After. */
void tcd_answer_error(tcd_reply *reply, int status, const char *message);
void tcd_answer_errorf(tcd_reply *reply, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A copy of text that may stand in JSON: each byte that belongs to no character is U+FFFD (a path is whatever the client sent). tci_free() it; NULL: out of memory. */
char *tcd_readable(tc_text text);

int tcd_status_of(int code); /* of a TC_E code */
/* What a client may read about it: the library's detail where that speaks of the request, the code's plain text where it speaks of our disks. */
const char *tcd_message_of(int code, const char *detail);
void tcd_answer_code(tcd_reply *reply, int code, const char *detail);

#endif
