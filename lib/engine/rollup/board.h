/* board.h - reading boards: what include/tipcurrent/board.h promises, on top of cells and tops. */
#ifndef TCI_ENGINE_ROLLUP_BOARD_H
#define TCI_ENGINE_ROLLUP_BOARD_H

#include "engine/engine.h"
#include "engine/rollup/top.h"
#include "tipcurrent/board.h"

#define TCI_BOARD_USERS_MAX 2000000
#define TCI_BOARD_EVENTS_MAX 5000000

struct tc_board {
  tci_top top; /* its prefix is what is shown, as many as `shown` */
  size_t shown;
  int64_t from_us, to_us;
};

typedef struct tci_board_request {
  tc_text room;     /* "": all */
  tc_text currency; /* "": the default */
  int role;
  uint32_t window;
  int64_t from_us, to_us; /* of the window, worked out */
  size_t limit;
} tci_board_request;

int tci_board_top(tc_engine *engine, const tci_board_request *request, tc_board **out);
/* *rank as in tc_board_row. */
int tci_board_rank(tc_engine *engine, const tci_board_request *request, tc_text user, tci_top_entry *entry, int64_t *rank);

/* ---- ballot.c: sums by user, in memory, for spans that nobody keeps a board of ---- */
typedef struct tci_ballot tci_ballot;
int tci_ballot_new(tci_ballot **out, tc_engine *engine, tc_text wanted); /* wanted: the user who is asked for; ptr NULL: nobody */
void tci_ballot_free(tci_ballot *ballot);
/* TC_ELIMIT: more than TCI_BOARD_USERS_MAX. */
int tci_ballot_add(tci_ballot *ballot, tc_text user, tci_top_sum amount, int64_t tips, int64_t seq);
/* From the events of [from_us, to_us). */
int tci_ballot_count_events(tci_ballot *ballot, const tci_board_request *request);
/* The best of them, into an empty top. */
int tci_ballot_top(const tci_ballot *ballot, tci_top *top);
/* TC_ENOTFOUND: the wanted one is not on the board. */
int tci_ballot_rank(const tci_ballot *ballot, tci_top_entry *entry, int64_t *rank);

#endif
