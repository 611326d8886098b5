/* stomp_kit.h - a pipe, a hub, a clock and an allocator that are the tests' own, around one STOMP session. They take the place of the real ones when the test is linked.
 * `^` stands for NUL in what is said and heard. One session at a time.
 */
#ifndef TC_TESTS_STOMP_KIT_H
#define TC_TESTS_STOMP_KIT_H

#include <check.h>

#include "server/front/reactor.h"
#include "server/stomp/session.h"

extern int stomp_allocations, stomp_fail_at; /* counted; the one with this number fails. 0: none */
extern int stomp_blocks;                     /* allocated now */

extern tcd_stomp stomp;
extern tcd_pipe stomp_pipe;
extern tcd_front stomp_front; /* its clock and its wheel */
extern const tcd_framing stomp_framing;
extern int stomp_closed; /* the close code, or 0 */
extern size_t stomp_heard_len;

struct tcd_cursor {
  void *owner;
  tcd_join join;
  char room[2048], text[4096]; /* what join's texts were */
};
extern tcd_cursor *stomp_cursors[];
extern int stomp_cursor_count;
extern int stomp_join_code, stomp_join_recovered; /* what the hub answers */
void stomp_remove_cursor(tcd_cursor *cursor);     /* fails if it is not there */

int stomp_begin(void); /* opens; what the service's open says */
void stomp_end(void);  /* closes; fails if anything is left, or if the session spoke after its end */
void stomp_connect(int version);
extern const char *const stomp_connected[]; /* by version: what CONNECT is answered */
void stomp_say_bytes(const char *text, size_t len);
void stomp_say(const char *text);
/* All that was heard since the last call, in one text: frames, "beat;", "settled;" and "close CODE;". content-length is checked and left out. */
void stomp_expect(const char *text);
void stomp_publish(const char *room, int64_t seq); /* {"x":1} */
void stomp_pass(int64_t ms);

#define PLAIN "content-type:text/plain\n\n"
#define REFUSED(message, receipt, detail) "ERROR\nmessage:" message "\n" receipt PLAIN detail "^close 1002;"
#define TOPIC "destination:/topic/rooms/r\n"

#endif
