/* goals.h - goals as JSON, and their progress live under /topic/events. */
#ifndef TCD_LIVE_GOALS_H
#define TCD_LIVE_GOALS_H

#include "server/live/hub.h"

/* {"id":7,"roomId":...}, as REST answers it. Pure; failure: out->err. */
void tcd_goal_put(tci_buf *out, const tc_goal *goal);

/* Says the progress of a room's goals to those who follow its events: see docs/live.md, "Goals". As tcd_hub_watch. */
int tcd_goals_watch(tcd_hub *hub);

#endif
