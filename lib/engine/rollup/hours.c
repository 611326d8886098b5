#include "engine/rollup/hours.h"

#include <string.h>

#include "base/mem.h"

#define SLOTS_BEGIN 64

tci_hour *tci_hours_find(tci_hours *hours, int64_t hour) {
  for (size_t i = 0; i < TCI_HOURS_KEPT; i++) {
    tci_hour *found = &hours->at[i];
    if (found->state == TCI_HOUR_NONE || found->hour != hour) continue;
    found->used = ++hours->clock;
    return found;
  }
  return NULL;
}

static void drop(tci_hours *hours, tci_hour *hour) {
  if (hour->slots) hours->bytes -= (hour->mask + 1) * sizeof *hour->slots;
  tci_free(hour->slots);
  hour->slots = NULL;
  hour->n = hour->mask = 0;
}

tci_hour *tci_hours_begin(tci_hours *hours, int64_t hour) {
  tci_hour *oldest = &hours->at[0];
  for (size_t i = 1; i < TCI_HOURS_KEPT; i++) {
    if (hours->at[i].used < oldest->used) oldest = &hours->at[i];
  }
  drop(hours, oldest);
  *oldest = (tci_hour){.hour = hour, .state = TCI_HOUR_KNOWN, .used = ++hours->clock};
  return oldest;
}

void tci_hour_give_up(tci_hours *hours, tci_hour *hour) {
  drop(hours, hour);
  hour->state = TCI_HOUR_UNKNOWN;
}

void tci_hour_forget(tci_hours *hours, tci_hour *hour) {
  drop(hours, hour);
  hour->state = TCI_HOUR_NONE;
}

static size_t first_place(const tci_hour *hour, uint64_t h) { return (size_t)(h ^ h >> 32) & hour->mask; }

void tci_hours_prefetch(const tci_hours *hours, int64_t hour, uint64_t h) {
  for (size_t i = 0; i < TCI_HOURS_KEPT; i++) {
    const tci_hour *found = &hours->at[i];
    if (found->slots && found->hour == hour) __builtin_prefetch(&found->slots[first_place(found, h)]);
  }
}

static uint64_t (*place_of(const tci_hour *hour, uint64_t h, uint64_t g))[2] {
  size_t at = first_place(hour, h);
  while ((hour->slots[at][0] || hour->slots[at][1]) && (hour->slots[at][0] != h || (hour->slots[at][1] & ~UINT64_C(15)) != g)) at = (at + 1) & hour->mask;
  return &hour->slots[at];
}

/* The oldest hours but this one go first when there is no room: their events have come, most likely. */
static void make_room(tci_hours *hours, const tci_hour *keep, uint64_t bytes) {
  while (hours->bytes + bytes > hours->bytes_max) {
    tci_hour *oldest = NULL;
    for (size_t i = 0; i < TCI_HOURS_KEPT; i++) {
      tci_hour *hour = &hours->at[i];
      if (hour != keep && hour->slots && (!oldest || hour->used < oldest->used)) oldest = hour;
    }
    if (!oldest) return;
    tci_hour_forget(hours, oldest); /* to be filled from the index, should it be needed */
  }
}

static int grow(tci_hours *hours, tci_hour *hour) {
  size_t count = hour->slots ? (hour->mask + 1) * 2 : SLOTS_BEGIN;
  make_room(hours, hour, count * sizeof *hour->slots);
  if (hours->bytes + count * sizeof *hour->slots > hours->bytes_max) return -1;
  uint64_t(*slots)[2] = tci_array(count, sizeof *slots), (*old)[2] = hour->slots;
  size_t old_count = old ? hour->mask + 1 : 0;
  if (!slots) return -1;
  hour->slots = slots;
  hour->mask = count - 1;
  for (size_t i = 0; i < old_count; i++) {
    if (old[i][0] || old[i][1]) memcpy(place_of(hour, old[i][0], old[i][1] & ~UINT64_C(15)), old[i], sizeof *old);
  }
  tci_free(old);
  hours->bytes += (count - old_count) * sizeof *slots;
  return 0;
}

int tci_hour_see(tci_hours *hours, tci_hour *hour, uint64_t h, uint64_t g, int quarter) {
  if (hour->state != TCI_HOUR_KNOWN) return -1;
  if (!hour->slots || hour->n * 4 >= (hour->mask + 1) * 3) {
    if (grow(hours, hour)) {
      tci_hour_give_up(hours, hour);
      return -1;
    }
  }
  g &= ~UINT64_C(15);
  uint64_t bit = UINT64_C(1) << quarter, *slot = *place_of(hour, h, g);
  if (!slot[0] && !slot[1]) {
    hour->n++;
    slot[0] = h;
    slot[1] = g | bit;
    return 0;
  }
  int seen = TCI_SEEN_IN_HOUR | (slot[1] & bit ? TCI_SEEN_IN_QUARTER : 0);
  slot[1] |= bit;
  return seen;
}

void tci_hours_free(tci_hours *hours) {
  for (size_t i = 0; i < TCI_HOURS_KEPT; i++) tci_hour_forget(hours, &hours->at[i]);
}
