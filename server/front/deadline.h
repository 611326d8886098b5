/* deadline.h - deadlines of a few classes, each of one constant span: a class is a list in the order of starting, so starting, stopping and finding the next one
 * are O(1), however many thousand connections wait.
 */
#ifndef TCD_FRONT_DEADLINE_H
#define TCD_FRONT_DEADLINE_H

#include <stdint.h>

typedef struct tcd_deadline tcd_deadline;

typedef struct tcd_deadline_class {
  tcd_deadline *first, *last;
  int64_t span_us;
  void (*expired)(tcd_deadline *deadline); /* already stopped when this runs */
} tcd_deadline_class;

struct tcd_deadline {
  tcd_deadline *prev, *next;
  tcd_deadline_class *in; /* NULL: not running */
  int64_t due_us;
};

/* Due span_us after from_us. A running one is stopped first. */
void tcd_deadline_start(tcd_deadline *deadline, tcd_deadline_class *in, int64_t from_us);
void tcd_deadline_stop(tcd_deadline *deadline); /* nothing when not running */
void tcd_deadline_expire(tcd_deadline_class *in, int64_t now_us);

#endif
