/* param.h - what a handler is asked for in path and query, read or refused: each returns 0, or -1 with the reply filled by a 400 that names the parameter. */
#ifndef TCD_API_PARAM_H
#define TCD_API_PARAM_H

#include "server/api/answer.h"

/* The id in a path: a whole number within 64 bits. */
int tcd_param_id(tc_text segment, int64_t *id, tcd_reply *reply);

#define TCD_PARAM_TEXT_MAX_CODE_POINTS 255                            /* of rooms and users, as in events; docs/events.md */
typedef char tcd_param_text[TCD_PARAM_TEXT_MAX_CODE_POINTS * 12 + 1]; /* four bytes a code point, three times as long when encoded */
/* A room or user in a path, NUL-terminated. */
int tcd_param_name(tc_text segment, const char *name, tcd_param_text out, tcd_reply *reply);

/* The values of names[0..n) in the query, decoded; NULL: not given, or empty, which is the same to those who ask by this. *storage holds them: to be freed either way. */
int tcd_param_query(const tcd_request *request, const char *const *names, size_t n, const char **values, char **storage, tcd_reply *reply);
/* These leave *out as it is when text is NULL. */
int tcd_param_instant(const char *text, const char *name, int64_t *out, tcd_reply *reply);
int tcd_param_limit(const char *text, int max, int64_t *out, tcd_reply *reply);

#endif
