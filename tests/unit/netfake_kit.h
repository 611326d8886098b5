/* netfake_kit.h - the C library's name lookups and connects as a test wants them, for the whole program: libcurl calls these in place of its own. Nothing leaves the machine.
 *
 * Names: "public.test" is 8.8.8.8; "two.test" is 127.0.0.1 and 127.0.0.2; "inner.test" is 169.254.169.254, 10.0.0.1 and ::1; "hang.test" is never answered until netfake_release. All
 * others do not exist.
 * Connects to 8.8.8.8 arrive at the same port of 127.0.0.1, and getpeername keeps that secret. Those to 127.0.0.9 arrive, but each
 * write to them finds a broken pipe. Those to any address outside of 127.0.0.0/8 fail.
 */
#ifndef TEST_NETFAKE_KIT_H
#define TEST_NETFAKE_KIT_H

int netfake_connects(void); /* that were tried, to anywhere */
int netfake_lookups(void);
int netfake_exposed(void); /* lookups in a thread that takes signals */
int netfake_hanging(void); /* lookups that wait */
void netfake_release(void);

#endif
