/* front_kit.h - a front with a small app behind it, a fake clock and plain sockets before it, for the tests of server/front. One front a process: Check forks. */
#ifndef TC_TESTS_FRONT_KIT_H
#define TC_TESTS_FRONT_KIT_H

#include <check.h>
#include <stdint.h>

#include "server/front/front.h"

/* What the app does: /echo answers with the body at once, /later from another thread, /hold when front_release is called, /big/N with N KiB, /close with
 * Connection: close, /many with a header too large, anything below /k/ goes to the kitchen. */
extern tcd_front *front;
/* Looks at a request first, on the front's thread; 1: it is done with. NULL: none. */
extern int (*front_hook)(const tcd_request *request, tcd_reply *reply);
extern tcd_front_options front_options; /* to be changed before front_start */

void front_start(void); /* opens and runs it */
void front_open(void);  /* opens only, so that a kitchen can be set */
void front_run(void);
void front_end(void);           /* stops, joins, closes */
void front_join(void);          /* waits for run to return */
int front_held(void);           /* how many requests /hold has */
void front_release(void);       /* answers them all */
void front_advance(int64_t ms); /* moves the clock */
tcd_front_stats front_stats(void);

#define WAIT_MS 10000
/* Polls until the expression holds or time is up. */
#define FRONT_WAIT(holds)                                               \
  do {                                                                  \
    int left_ = WAIT_MS;                                                \
    while (!(holds) && left_-- > 0) front_nap();                        \
    ck_assert_msg(left_ >= 0, "did not come true in time: %s", #holds); \
  } while (0)
int64_t front_real_ms(void); /* of the kernel's clock */
void front_nap(void);        /* a millisecond, between two looks */

int client_open(void);
void client_send(int fd, const char *text);
void client_send_bytes(int fd, const char *bytes, size_t len);
/* Reads one whole response (Content-Length framing; head only when bare) into a static buffer and returns it NUL-terminated; fails after WAIT_MS. */
const char *client_read(int fd, int bare);
int client_status(int fd); /* of the next response */
int client_ended(int fd);  /* 1: the stream ends here, and not by a reset; 0: it does not */
int client_silent(int fd); /* 1: nothing to read now */
const char *body_of(const char *response);

#endif
