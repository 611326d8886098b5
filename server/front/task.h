/* task.h - work on the front's thread that does not come from a socket: posted by other threads, or done once a turn. */
#ifndef TCD_FRONT_TASK_H
#define TCD_FRONT_TASK_H

#include "server/front/front.h"

typedef struct tcd_task tcd_task;
struct tcd_task {
  tcd_task *next;
  void (*run)(tcd_task *task); /* on the front's thread, in the order of posting; the task may be freed or posted again in it */
};

/* Any thread; does not block, cannot fail. The task must live until run, and the front until the last post has returned. */
void tcd_front_post(tcd_front *front, tcd_task *task);

/* turn runs at the end of every turn of the loop, when all that has happened has been dealt with, and a last time when the loop is over. It returns
 * TCD_TURN_AGAIN when it has more to do: then the loop looks for events without sleeping and comes back; TCD_TURN_SOON when it waits for something that will ring, most likely, within
 * a millisecond: it comes back after that at the latest. A loop that spun meanwhile would take the processor from the one it waits for. Before run. */
enum { TCD_TURN_DONE = 0, TCD_TURN_AGAIN, TCD_TURN_SOON };
void tcd_front_set_turn(tcd_front *front, int (*turn)(void *userdata), void *userdata);

#endif
