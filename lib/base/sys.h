/* sys.h - the system's clock and randomness: the defaults behind the injected ones. */
#ifndef TCI_BASE_SYS_H
#define TCI_BASE_SYS_H

#include <stddef.h>
#include <stdint.h>

int64_t tci_sys_wall_us(void *unused);
int64_t tci_sys_monotonic_us(void *unused);
int tci_sys_random(void *unused, void *buf, size_t len); /* 0, or TC_EUSER */

#endif
