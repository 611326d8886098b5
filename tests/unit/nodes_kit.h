/* nodes_kit.h - several engines on one database, in this process or in children that are killed. */
#ifndef NODES_KIT_H
#define NODES_KIT_H

#include <check.h>
#include <libpq-fe.h>
#include <stdint.h>
#include <sys/types.h>

#include "tipcurrent.h"

#define NODES_MAX 3
#define TAKE_OVER_S 15 /* what is promised after a kill -9 */

extern tc_engine *nodes[NODES_MAX];
extern tc_options nodes_options; /* to change before nodes_open */
extern PGconn *nodes_db;         /* a session beside the engines' */

void nodes_set_up(void); /* no engine is open yet */
void nodes_tear_down(void);
void nodes_open(int which); /* the first one leads */
void nodes_close(int which);
int64_t nodes_ask(const char *sql); /* one number; 0 for no row */

int nodes_try_tip(int which, const char *room, const char *sender, int64_t amount, const char *key, int64_t *seq, int32_t *replayed);
int64_t nodes_tip(int which, const char *room, const char *sender, int64_t amount, const char *key); /* its seq */
int64_t nodes_total(int which, const char *room);                                                    /* of its list of tips; -1: it cannot be read now */
tc_status nodes_status(int which);
int nodes_until(int (*is_so)(void *arg), void *arg); /* polls, at most TAKE_OVER_S; its last word */
int nodes_has(int which, int64_t seq);               /* waits until it has the log up to there */
int nodes_is_indexed(int which, int64_t seq);        /* waits until it has the index up to there */
int nodes_has_counted(int which, int64_t seq);       /* waits until its numbers have everything up to there */

/* A process with an engine of its own, which leads where none does, creates n tips in the room, says so, and waits to be killed. */
pid_t nodes_fork(const char *room, int n);
void nodes_kill(pid_t node);

int nodes_run(Suite *suite);

#endif
