/* encode.h - STOMP frames that we send. */
#ifndef TCD_STOMP_ENCODE_H
#define TCD_STOMP_ENCODE_H

#include "server/live/hub.h"
#include "server/stomp/frame.h"

/* Appends text escaped for version as a header's name or value: 1.0 nothing, 1.1 \\ \n \c, 1.2 also \r. In 1.0 a line end cannot be said and is sent as a space. */
void tcd_stomp_put_escaped(tci_buf *out, tc_text text, int version);
/* Appends one header line, escaped. */
void tcd_stomp_put_header(tci_buf *out, const char *name, tc_text value, int version);
/* tcd_shape.write: the MESSAGE frame of an event. shape->text is the subscription's id already escaped, shape->flags the version. Headers in Spring's order:
 * destination (the concrete room), content-type, subscription, message-id, seq, content-length; then the event's JSON and NUL.
 * message-id is `<seq>-<subscription>`: unique in a session, the same for all who share the frame, and the same again when it is replayed. */
void tcd_stomp_write_message(const tcd_shape *shape, const tc_event *event, tci_buf *out);
/* tcd_shape.say: the MESSAGE frame of a notice, without seq; message-id is `n<number>-<subscription>`. */
void tcd_stomp_write_notice(const tcd_shape *shape, const tcd_notice *notice, tci_buf *out);

#endif
