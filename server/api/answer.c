#include "answer.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "base/timefmt.h"
#include "base/utf8.h"
#include "media.h"

#define MESSAGE_MAX 512

char *tcd_readable(tc_text text) {
  char *out = tci_alloc(text.len * 3 + 1);
  size_t n = 0;
  for (size_t i = 0; out && i < text.len;) {
    size_t left = text.len - i, len = 1;
    while (len < left && len < 4 && !tci_utf8_valid(text.ptr + i, len, NULL)) len++;
    if (tci_utf8_valid(text.ptr + i, len, NULL)) {
      memcpy(out + n, text.ptr + i, len);
      n += len;
      i += len;
    } else {
      memcpy(out + n, "\xEF\xBF\xBD", 3);
      n += 3;
      i++;
    }
  }
  if (out) out[n] = '\0';
  return out;
}

void tcd_answer_error(tcd_reply *reply, int status, const char *message) {
  char timestamp[TCI_RFC3339_MS_LEN + 1], *path = tcd_readable(reply->request->path), *text = tcd_readable((tc_text){message, strlen(message)});
  tci_time_format_ms(tci_sys_wall_us(NULL), timestamp);
  timestamp[TCI_RFC3339_MS_LEN] = '\0';
  cJSON *json = cJSON_CreateObject();
  char *printed = NULL;
  if (path && text && cJSON_AddStringToObject(json, "timestamp", timestamp) && cJSON_AddNumberToObject(json, "status", status) &&
      cJSON_AddStringToObject(json, "error", tcd_status_text(status)) && cJSON_AddStringToObject(json, "path", path) &&
      cJSON_AddStringToObject(json, "message", text)) {
    printed = cJSON_PrintUnformatted(json);
  }
  reply->status = status;
  reply->content_type = printed ? TCD_MEDIA_JSON : NULL; /* out of memory: the bare status still says it */
  tci_buf_clear(&reply->body);
  if (printed) (void)tci_buf_puts(&reply->body, printed); /* sticky: who sends it looks at body.err */
  if (status == 503) (void)tci_buf_puts(&reply->headers, "Retry-After: 1\r\n");
  cJSON_free(printed);
  cJSON_Delete(json);
  tci_free(path);
  tci_free(text);
}

void tcd_answer_errorf(tcd_reply *reply, int status, const char *format, ...) {
  char message[MESSAGE_MAX];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(message, sizeof message, format, args); /* a cut message is still a message */
  va_end(args);
  tcd_answer_error(reply, status, message);
}

int tcd_status_of(int code) {
  switch (code) {
  case TC_EINVAL:
  case TC_ELIMIT: return 400;
  case TC_ENOTFOUND: return 404;
  case TC_EEXISTS:
  case TC_ECONFLICT: return 409;
  case TC_EMISMATCH: return 422;
  case TC_EBUSY:
  case TC_ETIMEOUT:
  case TC_ECLOSED:
  case TC_ESTORAGE:
  case TC_EUNKNOWN:
  case TC_ENOMEM: return 503;
  case TC_ENOTSUP: return 501;
  default: return 500;
  }
}

const char *tcd_message_of(int code, const char *detail) {
  if (code == TC_EUNKNOWN) return "outcome unknown, retry with the same key";
  int about_us = code == TC_ESTORAGE || tcd_status_of(code) == 500;
  return about_us || !*detail ? tc_strerror(code) : detail;
}

void tcd_answer_code(tcd_reply *reply, int code, const char *detail) { tcd_answer_error(reply, tcd_status_of(code), tcd_message_of(code, detail)); }
