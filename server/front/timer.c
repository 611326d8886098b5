#include "server/front/timer.h"

#include <stddef.h>

static tcd_timer *slot_of(tcd_wheel *wheel, int64_t number) { return &wheel->slots[(uint64_t)number % TCD_WHEEL_SLOTS]; }

void tcd_wheel_init(tcd_wheel *wheel, int64_t now_us) {
  for (size_t i = 0; i < TCD_WHEEL_SLOTS; i++) wheel->slots[i].prev = wheel->slots[i].next = &wheel->slots[i];
  wheel->turned = now_us / TCD_WHEEL_SLOT_US - 1;
  wheel->running = 0;
}

static void link_before(tcd_timer *head, tcd_timer *timer) {
  timer->prev = head->prev;
  timer->next = head;
  head->prev->next = timer;
  head->prev = timer;
}

static void put(tcd_wheel *wheel, tcd_timer *timer) {
  int64_t number = timer->due_us / TCD_WHEEL_SLOT_US;
  /* A slot that has been passed would be looked at a whole round later. */
  if (number <= wheel->turned) number = wheel->turned + 1;
  link_before(slot_of(wheel, number), timer);
}

void tcd_timer_stop(tcd_wheel *wheel, tcd_timer *timer) {
  if (!timer->prev) return;
  timer->prev->next = timer->next;
  timer->next->prev = timer->prev;
  timer->prev = timer->next = NULL;
  wheel->running--;
}

void tcd_timer_start(tcd_wheel *wheel, tcd_timer *timer, int64_t due_us) {
  tcd_timer_stop(wheel, timer);
  timer->due_us = due_us;
  put(wheel, timer);
  wheel->running++;
}

void tcd_wheel_turn(tcd_wheel *wheel, int64_t now_us) {
  int64_t last = now_us / TCD_WHEEL_SLOT_US - 1; /* only slots that are over: none of their timers is early */
  int64_t first = last - wheel->turned > TCD_WHEEL_SLOTS ? last - TCD_WHEEL_SLOTS + 1 : wheel->turned + 1;
  for (int64_t number = first; number <= last; number++) {
    tcd_timer *slot = slot_of(wheel, number), due;
    wheel->turned = number;
    if (slot->next == slot) continue;
    /* Moved aside: a timer that is started while they fire may land in this very slot, for the next round. */
    due.next = slot->next;
    due.prev = slot->prev;
    due.next->prev = due.prev->next = &due;
    slot->next = slot->prev = slot;
    while (due.next != &due) {
      tcd_timer *timer = due.next;
      timer->prev->next = timer->next;
      timer->next->prev = timer->prev;
      if (timer->due_us > now_us) { /* of a later round */
        link_before(slot, timer);
        continue;
      }
      timer->prev = timer->next = NULL;
      wheel->running--;
      timer->fired(timer);
    }
  }
  if (last > wheel->turned) wheel->turned = last;
}
