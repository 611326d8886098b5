#include "server/ws/handshake.h"

#include <mbedtls/base64.h>
#include <mbedtls/sha1.h>
#include <string.h>

#include "server/config/list.h"

#define KEY_LEN 24 /* base64 of 16 bytes */

/* 1 when a list header holds word, over all its lines, in any case. */
static int holds(const tcd_request *request, const char *name, const char *word) {
  for (size_t i = 0; i < request->header_count; i++) {
    if (!tcd_text_is(request->headers[i].name, name)) continue;
    tc_text rest = request->headers[i].value, item;
    while (tcd_list_next(&rest, &item)) {
      if (tcd_text_is(item, word)) return 1;
    }
  }
  return 0;
}

int tcd_ws_is_upgrade(const tcd_request *request) { return holds(request, "Upgrade", "websocket") && holds(request, "Connection", "upgrade"); }

/* The client's first protocol that we speak. Compared exactly: they are names, not words. */
static const char *choose(const tcd_request *request, const char *const *protocols) {
  for (size_t i = 0; protocols && i < request->header_count; i++) {
    if (!tcd_text_is(request->headers[i].name, "Sec-WebSocket-Protocol")) continue;
    tc_text rest = request->headers[i].value, item;
    while (tcd_list_next(&rest, &item)) {
      for (const char *const *known = protocols; *known; known++) {
        if (item.len == strlen(*known) && !memcmp(item.ptr, *known, item.len)) return *known;
      }
    }
  }
  return NULL;
}

/* RFC 6455 4.2.2, 5.4: base64(SHA-1(key + GUID)). */
static int accept_of(tc_text key, char out[29]) {
  static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char text[KEY_LEN + sizeof guid - 1], hash[20];
  size_t len;
  memcpy(text, key.ptr, KEY_LEN);
  memcpy(text + KEY_LEN, guid, sizeof guid - 1);
  if (mbedtls_sha1_ret(text, sizeof text, hash)) return -1;
  return mbedtls_base64_encode((unsigned char *)out, 29, &len, hash, sizeof hash) ? -1 : 0;
}

static int key_is_good(tc_text key) {
  unsigned char bytes[16];
  size_t len;
  return key.len == KEY_LEN && !mbedtls_base64_decode(bytes, sizeof bytes, &len, (const unsigned char *)key.ptr, key.len) && len == sizeof bytes;
}

int tcd_ws_handshake(const tcd_request *request, const char *const *protocols, const char *extra, tci_buf *out, const char **message) {
  tc_text version, key;
  char accept[29];
  int status = 400;
  if (request->version_minor < 1 || request->method.len != 3 || memcmp(request->method.ptr, "GET", 3) != 0) {
    *message = "a WebSocket begins with GET and HTTP/1.1";
  } else if (!holds(request, "Upgrade", "websocket")) {
    *message = "Can \"Upgrade\" only to \"WebSocket\"."; /* these two are the words of SockJS's suite */
  } else if (!holds(request, "Connection", "upgrade")) {
    *message = "\"Connection\" must be \"Upgrade\".";
  } else if (tcd_request_header(request, "Sec-WebSocket-Version", &version) != 1 || !tcd_text_is(version, "13")) {
    *message = "Sec-WebSocket-Version: must be 13";
    status = 426;
  } else if (tcd_request_header(request, "Sec-WebSocket-Key", &key) != 1 || !key_is_good(key)) {
    *message = "Sec-WebSocket-Key: must be 16 bytes in base64";
  } else if (accept_of(key, accept)) {
    *message = "out of memory";
    status = 503;
  } else {
    const char *protocol = choose(request, protocols);
    (void)tci_buf_printf(out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n", accept);
    if (protocol) (void)tci_buf_printf(out, "Sec-WebSocket-Protocol: %s\r\n", protocol);
    if (extra) (void)tci_buf_puts(out, extra);
    (void)tci_buf_puts(out, "\r\n");
    status = 0;
  }
  return status;
}
