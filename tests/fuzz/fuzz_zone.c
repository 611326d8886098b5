/* Any bytes as a TZif file, or (when they begin with a letter or '<') as the TZ string of a footer. What is taken gives periods that hold their instant and follow each other. */
#include <string.h>

#include "base/mem.h"
#include "base/zone.h"
#include "base/zonefile.h"
#include "fuzz.h"
#include "tipcurrent/error.h"

static void look_at(const tci_zone *zone, int64_t at) {
  HOLDS(tci_zone_offset(zone, at) > -TCI_ZONE_OFFSET_MAX && tci_zone_offset(zone, at) < TCI_ZONE_OFFSET_MAX);
  for (int period = TCI_PERIOD_HOUR; period <= TCI_PERIOD_MONTH; period++) {
    int64_t start, end, next, until;
    tci_zone_period(zone, period, at, &start, &end);
    HOLDS(start <= at && at < end);
    if (period == TCI_PERIOD_HOUR)
      continue; /* a file whose clocks change several times an hour makes hours that overlap; who counts by them goes on at the end of the last */
    tci_zone_period(zone, period, end, &next, &until);
    HOLDS(next == end && end < until);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  tci_zone *zone = NULL;
  if (size && data[0] != 'T') {
    zone = tci_zalloc(sizeof *zone);
    HOLDS(zone);
    if (tci_zone_parse_tz(zone, (const char *)data, size)) {
      tci_zone_free(zone);
      return 0;
    }
  } else if (tci_zone_parse(&zone, data, size)) {
    HOLDS(!zone);
    return 0;
  }
  static const int64_t instants[] = {0, 1705312800, 1720000000, 4102444800, -2208988800};
  for (size_t i = 0; i < sizeof instants / sizeof instants[0]; i++) look_at(zone, instants[i]);
  for (size_t i = 0; i < zone->count; i += zone->count / 4 + 1) {
    int64_t at = zone->times[i];
    if (at > -TCI_ZONE_LIMIT_S && at < TCI_ZONE_LIMIT_S) look_at(zone, at), look_at(zone, at - 1);
  }
  tci_zone_free(zone);
  return 0;
}
