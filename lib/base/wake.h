/* wake.h - a doorbell one thread can poll and any other ring: an eventfd. */
#ifndef TCI_BASE_WAKE_H
#define TCI_BASE_WAKE_H

int tci_wake_open(void);     /* non-blocking, close-on-exec; -1 with errno */
void tci_wake_ring(int fd);  /* any thread; also async-signal-safe */
void tci_wake_drain(int fd); /* not readable any more, until the next ring */
void tci_wake_close(int fd); /* takes -1 */

#endif
