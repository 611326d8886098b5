#include "body.h"

#include <string.h>

#include "answer.h"
#include "base/json.h"
#include "base/mem.h"

static const char *check(const tcd_member *member, const tci_json_value *value) {
  if (value->type == TCI_JSON_ABSENT || value->type == TCI_JSON_NULL || value->type == TCI_JSON_STRING) return NULL;
  if (member->type == TCD_MEMBER_TEXT) return "must be a string";
  return value->type == TCI_JSON_NUMBER ? NULL : "must be a number";
}

int tcd_body_read(const tcd_request *request, const tcd_member *members, size_t count, int optional, tcd_body *out, tcd_reply *reply) {
  const char *names[TCD_BODY_MEMBERS];
  tci_json_value values[TCD_BODY_MEMBERS];
  tci_json_fault fault;
  memset(out, 0, sizeof *out);
  if (!request->body.len && optional) return 0;
  for (size_t i = 0; i < count; i++) names[i] = members[i].name;
  if (tci_json_object(request->body.len ? request->body.ptr : "", request->body.len, names, count, values, &fault)) {
    tcd_answer_errorf(reply, 400, "body: %s at byte %zu", fault.what, fault.offset);
    return -1;
  }
  char *at = out->storage = tci_alloc(request->body.len + count); /* values and a NUL each */
  if (!at) {
    tcd_answer_code(reply, TC_ENOMEM, "");
    return -1;
  }
  for (size_t i = 0; i < count; i++) {
    const char *wrong = check(&members[i], &values[i]);
    if (!wrong && (values[i].type == TCI_JSON_STRING || values[i].type == TCI_JSON_NUMBER)) {
      size_t len = values[i].raw.len;
      if (values[i].type == TCI_JSON_STRING) len = tci_json_unescape(values[i].raw, at);
      else memcpy(at, values[i].raw.ptr, len);
      if (memchr(at, '\0', len)) wrong = "must not contain U+0000";
      at[len] = '\0';
      out->values[i] = at;
      at += len + 1;
    }
    if (wrong) {
      tcd_answer_errorf(reply, 400, "%s: %s", members[i].name, wrong);
      return -1;
    }
  }
  return 0;
}

void tcd_body_free(tcd_body *body) { tci_free(body->storage); }
