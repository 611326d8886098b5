/* boards.h - leaderboards as JSON, and live under /topic/leaderboards. */
#ifndef TCD_LIVE_BOARDS_H
#define TCD_LIVE_BOARDS_H

#include "server/live/hub.h"

/* [{"rank":1,"userId":"bob","amount":12.50,"tips":3},...]. Pure. Returns out->err. */
int tcd_board_put_rows(tci_buf *out, const tc_board *board);

/* Says boards to those who follow: see docs/live.md, "Leaderboards". As tcd_hub_watch. */
int tcd_boards_watch(tcd_hub *hub);

#endif
