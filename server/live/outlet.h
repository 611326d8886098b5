/* outlet.h - the sending half of a link: its own bytes (receipts, pongs, replays) and the cursors whose frames it sends from the channels.
 *
 * Own bytes come before frames of cursors, never inside one. Whatever is put is sent when the loop comes round, together with what came in the meantime.
 */
#ifndef TCD_LIVE_OUTLET_H
#define TCD_LIVE_OUTLET_H

#include "server/front/link.h"
#include "server/front/timer.h"
#include "server/live/hub.h"

typedef struct tcd_outlet tcd_outlet;

typedef struct tcd_outlet_ops {
  /* Bytes from the client, borrowed and writable; len 0: it will send no more. NULL: what it says is thrown away, and its end is the end of the connection. */
  void (*input)(tcd_outlet *outlet, char *bytes, size_t len);
  /* The connection has ended: by the client, by a fault, by a deadline, by tcd_outlet_close or after tcd_outlet_finish. Called once;
   * cursors that are still there leave behind it. Free what hangs on the outlet, but not the outlet. */
  void (*closed)(tcd_outlet *outlet);
  void (*stop)(tcd_outlet *outlet); /* see tcd_link_ops */
  /* See tcd_sink_ops. NULL: the connection is closed. */
  void (*cut)(tcd_outlet *outlet, tcd_cursor *cursor, int why, int64_t resume_seq);
  /* Everything put so far has gone to the kernel. May be NULL. */
  void (*drained)(tcd_outlet *outlet);
} tcd_outlet_ops;

struct tcd_outlet {
  tcd_link link; /* first */
  tcd_sink sink;
  const tcd_outlet_ops *ops;
  tcd_outlet *next_done;
  tci_buf own;
  size_t own_sent;
  tcd_timer stall; /* runs while the socket is full */
  int64_t put_us;  /* when the oldest of own was put */
  uint8_t ending;  /* what happens when all is sent; 0: nothing */
  uint8_t done;    /* ended: closed is still to be called */
};

/* From on_request: outlet (zeroed, first member of an allocation) takes the client over. As tcd_front_take. Afterwards put the head, then tcd_outlet_start. */
int tcd_outlet_take(tcd_outlet *outlet, tcd_hub *hub, tcd_reply *reply, const tcd_outlet_ops *ops);
void tcd_outlet_start(tcd_outlet *outlet); /* input begins; may close the outlet before it returns */
/* Whole frames, copied. More than max_lag_bytes waiting, or no memory: the connection is closed when the loop comes round (nothing is called now). */
void tcd_outlet_put(tcd_outlet *outlet, const void *bytes, size_t len);
/* The buffer to put frames into directly; call tcd_outlet_wrote afterwards. */
tci_buf *tcd_outlet_own(tcd_outlet *outlet);
void tcd_outlet_wrote(tcd_outlet *outlet);
/* Cursors send nothing more; when everything put has been sent the link is finished (half-closed, lingering). Input is thrown away from now on. closed is called then. */
void tcd_outlet_finish(tcd_outlet *outlet);
void tcd_outlet_close(tcd_outlet *outlet);
/* The response is complete: when everything put has been sent the connection goes back to HTTP. closed is called then. */
void tcd_outlet_return(tcd_outlet *outlet);

#endif
