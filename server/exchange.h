/* exchange.h - one HTTP request and its reply, as the front (reactor), the kitchen (CivetWeb) and the handlers see them.
 *
 * A handler gets a complete request and a reply object. It fills the reply and calls tcd_reply_send(reply) exactly once, from any thread, now or later; until
 * then request and reply stay valid, afterwards neither may be touched. Who made the reply decides where it goes (reply->deliver): the front writes it to the
 * client's socket, the kitchen writes it to its loopback connection.
 */
#ifndef TCD_EXCHANGE_H
#define TCD_EXCHANGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "tipcurrent.h"

#define TCD_HEADERS_MAX 100 /* the kitchen sees the first 60, those that guards and handlers read among them */

typedef struct tcd_header {
  tc_text name, value; /* value without surrounding white space */
} tcd_header;

typedef struct tcd_request {
  tc_text method;    /* "GET" */
  tc_text target;    /* as sent, e.g. "/api/tips?page=1" */
  tc_text path;      /* the part before '?', still percent-encoded */
  tc_text query;     /* the part after '?', still encoded; ptr NULL: none */
  int version_minor; /* HTTP/1.x */
  const tcd_header *headers;
  size_t header_count;
  tc_text body;     /* complete, de-chunked; len 0: none */
  const char *peer; /* the client's address, "127.0.0.1:41234" or "[::1]:41234" */
} tcd_request;

/* 1 when text is word, ASCII letters in either case. */
int tcd_text_is(tc_text text, const char *word);

/* The first header of that name (case-insensitive) into *value; returns how many there are. */
size_t tcd_request_header(const tcd_request *request, const char *name, tc_text *value);

typedef struct tcd_reply tcd_reply;
struct tcd_reply {
  int status;               /* 200 */
  const char *content_type; /* static; NULL: no Content-Type (and usually no body) */
  tci_buf headers;          /* more header lines, each "Name: value\r\n"; never Content-Length, Connection, Date */
  tci_buf body;
  tc_event *event;                   /* when set, the body is its JSON (body must be empty); owned, unref'd after sending */
  int close;                         /* 1: close the connection after this reply */
  const tcd_request *request;        /* what it answers; set by the router: an error made later, on another thread, names its path */
  void (*deliver)(tcd_reply *reply); /* set by who made the reply */
};

void tcd_reply_init(tcd_reply *reply, void (*deliver)(tcd_reply *));
void tcd_reply_clear(tcd_reply *reply); /* frees what it holds */
void tcd_reply_send(tcd_reply *reply);

/* The status line's text: "Not Found". Static, never NULL. */
const char *tcd_status_text(int status);

#endif
