/* timer.h - timers of any span on one wheel: starting and stopping are O(1), however many thousand sessions keep a heart-beat. They fire up to 100 ms late.
 * deadline.h is for the few spans that all connections share.
 */
#ifndef TCD_FRONT_TIMER_H
#define TCD_FRONT_TIMER_H

#include <stdint.h>

#define TCD_WHEEL_SLOTS 512
#define TCD_WHEEL_SLOT_US 100000

typedef struct tcd_timer tcd_timer;
struct tcd_timer {
  tcd_timer *prev, *next; /* prev NULL: not running */
  int64_t due_us;
  void (*fired)(tcd_timer *timer); /* already stopped when this runs; may start and stop any timer, itself too */
};

typedef struct tcd_wheel {
  tcd_timer slots[TCD_WHEEL_SLOTS]; /* list heads */
  int64_t turned;                   /* the last slot number (time / slot) that was looked at */
  uint64_t running;
} tcd_wheel;

void tcd_wheel_init(tcd_wheel *wheel, int64_t now_us);
void tcd_timer_start(tcd_wheel *wheel, tcd_timer *timer, int64_t due_us); /* a running one is stopped first */
void tcd_timer_stop(tcd_wheel *wheel, tcd_timer *timer);                  /* nothing when not running */
void tcd_wheel_turn(tcd_wheel *wheel, int64_t now_us);

#endif
