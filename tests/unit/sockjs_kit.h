/* sockjs_kit.h - SockJS mounts with small services on front_kit's front, and a client's half of the transports over HTTP. */
#ifndef TC_TESTS_SOCKJS_KIT_H
#define TC_TESTS_SOCKJS_KIT_H

#include <stddef.h>

#include "server/sockjs/sockjs.h"

/* /echo: what comes goes back. /talk: says "one" and "two" and closes (3000, "Go away!"), all from within open. Both with at most sockjs_limit sessions (0: many), responses of 4,096 bytes
 * and the standard limits else. */
extern _Atomic int sockjs_opened, sockjs_closed; /* what the services were called for */
extern _Atomic int sockjs_blocked;               /* set by a request to /block, until whose reset the front stands still */
extern uint32_t sockjs_limit;                    /* before sockjs_begin */
void sockjs_begin(void);
void sockjs_stop(void); /* stops the front and waits; when clients have not gone within the grace, they are dropped */
void sockjs_end(void);  /* after that: closes all; fails unless every service that was opened has heard of its end, once */

/* One POST on a connection of its own: "STATUS BODY", static. */
const char *sockjs_post(const char *path, const char *body);
const char *sockjs_post_bytes(const char *path, const char *body, size_t len);
/* Sends a request (body NULL: GET, else POST) on fd, which is kept alive, and reads nothing. */
void sockjs_ask(int fd, const char *path, const char *body);
const char *sockjs_answer(int fd); /* the next response with a Content-Length: its body, static */
/* A streaming POST, read up to its head. */
int sockjs_stream(const char *path);
/* The next chunk, static; "" is the last. */
const char *sockjs_chunk(int fd);
void sockjs_expect(int fd, const char *chunk);

#endif
