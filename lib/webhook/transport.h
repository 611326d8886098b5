/* transport.h - the engine's own transport: libcurl behind tipcurrent/transport.h. */
#ifndef TCI_WEBHOOK_TRANSPORT_H
#define TCI_WEBHOOK_TRANSPORT_H

#include "base/library.h"
#include "tipcurrent/transport.h"
#include "webhook/policy.h"

#define TCI_RESPONSE_READ_MAX 65536
#define TCI_RESPONSE_KEEP_POINTS 1000
#define TCI_ERROR_KEEP_POINTS 200

/* libcurl's multi interface: keep-alive, HTTP/2 over TLS where offered, certificates verified, redirects not followed, http and https only, no proxy from the environment, no
 * netrc, no cookies, no signal; the address is checked in CURLOPT_OPENSOCKETFUNCTION, so what is checked is what is connected to, each time; a connection that is used again was
 * checked when it was made. policy must outlive it; a change between calls counts for new connections. max_connections is also how many may be begun at once (TC_EBUSY beyond); those
 * beyond max_per_host (0: no limit; a host is a name with a port) wait inside, and their time runs. begin: TC_ELIMIT with more than 24 headers. done hears a response as valid UTF-8
 * of at most 1,000 code points, none of a peer that is not public, and an error as one line of valid UTF-8. sheltered: begin, abort and poll are called by a
 * thread that has all signals blocked, as those of the library have. TC_OK, TC_ENOMEM, TC_ELIMIT (no descriptors). */
int tci_curl_open(tc_transport *out, const tci_policy *policy, uint32_t max_connections, uint32_t max_per_host, int sheltered);
void tci_curl_close(tc_transport *transport); /* takes one that was never opened */
/* Loads libcurl, as the first begin does otherwise. TC_OK; TC_ENOTSUP: why says what is missing. Any thread; blocks for file I/O the first time. */
int tci_curl_load(char why[TCI_LIBRARY_WHY_SIZE]);

#endif
