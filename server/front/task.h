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

/* turn runs at the end of every turn of the loop, when all that has happened has been dealt with, and a last time when the loop is over. It returns 1 when it has more to
 * do: then the loop looks for events without sleeping and comes back. Before run. */
void tcd_front_set_turn(tcd_front *front, int (*turn)(void *userdata), void *userdata);

#endif
