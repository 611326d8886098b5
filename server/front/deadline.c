#include "server/front/deadline.h"

#include <stddef.h>

void tcd_deadline_stop(tcd_deadline *deadline) {
  tcd_deadline_class *in = deadline->in;
  if (!in) return;
  if (deadline->prev) deadline->prev->next = deadline->next;
  else in->first = deadline->next;
  if (deadline->next) deadline->next->prev = deadline->prev;
  else in->last = deadline->prev;
  deadline->in = NULL;
}

void tcd_deadline_start(tcd_deadline *deadline, tcd_deadline_class *in, int64_t from_us) {
  tcd_deadline_stop(deadline);
  deadline->due_us = from_us + in->span_us;
  /* from_us is nearly always the newest yet; a request that goes to the kitchen a second time is the one that has to look for its place. */
  tcd_deadline *before = in->last;
  while (before && before->due_us > deadline->due_us) before = before->prev;
  deadline->prev = before;
  deadline->next = before ? before->next : in->first;
  if (before) before->next = deadline;
  else in->first = deadline;
  if (deadline->next) deadline->next->prev = deadline;
  else in->last = deadline;
  deadline->in = in;
}

void tcd_deadline_expire(tcd_deadline_class *in, int64_t now_us) {
  while (in->first && in->first->due_us <= now_us) {
    tcd_deadline *due = in->first;
    tcd_deadline_stop(due);
    in->expired(due);
  }
}
