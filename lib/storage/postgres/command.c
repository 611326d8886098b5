/* command.c - a command with its parameters, and its answer. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/sys.h"
#include "storage/postgres/postgres.h"

#define ARG_KEEP_BYTES (1u << 20) /* of a parameter's memory, for the next command */

/* ---- parameters, in PostgreSQL's binary format ---- */

static void put_be(tci_buf *buf, uint64_t value, size_t bytes) {
  char out[8];
  for (size_t i = 0; i < bytes; i++) out[i] = (char)(value >> 8 * (bytes - 1 - i));
  (void)tci_buf_append(buf, out, bytes);
}

void tci_pg_begin(tci_pg *pg) {
  pg->n = 0;
  for (size_t i = 0; i < TCI_PG_ARGS_MAX; i++) {
    if (pg->args[i].cap > ARG_KEEP_BYTES) tci_buf_free(&pg->args[i]);
    else tci_buf_clear(&pg->args[i]);
    pg->is_null[i] = 0;
    pg->counts[i] = 0;
  }
}

void tci_pg_int8(tci_pg *pg, int64_t value) { put_be(&pg->args[pg->n++], (uint64_t)value, 8); }

void tci_pg_int4(tci_pg *pg, int32_t value) { put_be(&pg->args[pg->n++], (uint32_t)value, 4); }

void tci_pg_text(tci_pg *pg, tc_text text) {
  pg->is_null[pg->n] = !text.ptr;
  (void)tci_buf_append(&pg->args[pg->n++], text.ptr ? text.ptr : "", text.ptr ? text.len : 0);
}

void tci_pg_null(tci_pg *pg) { pg->is_null[pg->n++] = 1; }

/* Dimensions, "there may be NULLs", the elements' type; then of the one dimension its length, set when it is sent, and lower bound. */
enum { ARRAY_LENGTH_AT = 12 };

void tci_pg_array(tci_pg *pg, int oid) {
  tci_buf *buf = &pg->args[pg->n++];
  put_be(buf, 1, 4);
  put_be(buf, 1, 4);
  put_be(buf, (uint64_t)oid, 4);
  put_be(buf, 0, 4);
  put_be(buf, 1, 4);
}

void tci_pg_put8(tci_pg *pg, size_t arg, int64_t value) {
  pg->counts[arg]++;
  put_be(&pg->args[arg], 8, 4);
  put_be(&pg->args[arg], (uint64_t)value, 8);
}

void tci_pg_put4(tci_pg *pg, size_t arg, int32_t value) {
  pg->counts[arg]++;
  put_be(&pg->args[arg], 4, 4);
  put_be(&pg->args[arg], (uint32_t)value, 4);
}

void tci_pg_put_text(tci_pg *pg, size_t arg, tc_text text) {
  pg->counts[arg]++;
  put_be(&pg->args[arg], text.ptr ? text.len : UINT32_MAX, 4);
  if (text.ptr) (void)tci_buf_append(&pg->args[arg], text.ptr, text.len);
}

/* ---- results ---- */

uint64_t tci_pg_read8(const char *bytes) {
  uint64_t value = 0;
  for (int i = 0; i < 8; i++) value = value << 8 | (uint8_t)bytes[i];
  return value;
}

int64_t tci_pg_get8(const PGresult *result, int row, int column) {
  return PQgetlength(result, row, column) == 8 ? (int64_t)tci_pg_read8(PQgetvalue(result, row, column)) : 0;
}

int32_t tci_pg_get4(const PGresult *result, int row, int column) {
  uint32_t value = 0;
  if (PQgetlength(result, row, column) == 4) memcpy(&value, PQgetvalue(result, row, column), sizeof value);
  return (int32_t)ntohl(value);
}

tc_text tci_pg_get(const PGresult *result, int row, int column) {
  if (PQgetisnull(result, row, column)) return (tc_text){NULL, 0};
  return (tc_text){PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column)};
}

/* ---- running ---- */

/* https://www.postgresql.org/docs/13/errcodes-appendix.html */
static int code_of(const char *state) {
  static const struct {
    const char *prefix;
    int code;
  } codes[] = {
    {"TC001", TC_ESTORAGE},  /* schema.c: the batch was said to be not stored */
    {"TC002", TC_EINVAL},    /* a cursor */
    {"TC004", TC_ECONFLICT}, /* schema_nodes.c: another node leads, */
    {"TC005", TC_ECONFLICT}, /* or has appended something on which a decision hangs, */
    {"TC006", TC_EBUSY},     /* or has changed something that a change of documents hangs on */
    {"40", TC_EBUSY},        {"55P03", TC_EBUSY}, {"57014", TC_EBUSY},  {"57P", TC_EBUSY},      {"08", TC_EBUSY},
    {"25006", TC_EBUSY},     {"25P03", TC_EBUSY}, {"53200", TC_ENOMEM}, {"XX001", TC_ECORRUPT}, {"XX002", TC_ECORRUPT},
  };
  for (size_t i = 0; state && i < sizeof codes / sizeof *codes; i++) {
    if (!strncmp(state, codes[i].prefix, strlen(codes[i].prefix))) return codes[i].code;
  }
  return TC_ESTORAGE;
}

static int refused(tci_pg *pg, const PGresult *result) {
  const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE), *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  int code = code_of(state);
  pg->home->env->fail(code, "the database %s refuses: %s (%s)", pg->home->name, message ? message : "no reason given", state ? state : "no SQLSTATE");
  /* A standby that was promoted away from under us, or a session that the server has ended: the next connection may find the right one. */
  if (state && (!strcmp(state, "25006") || !strncmp(state, "57P", 3))) tci_pg_drop(pg, message);
  return code;
}

static int broken(tci_pg *pg) {
  tci_pg_drop(pg, PQerrorMessage(pg->handle));
  pg->retry_at_us = 0; /* the first try to get it back comes at once */
  pg->lost = 1;
  pg->home->env->fail(TC_EBUSY, "the connection to the database %s broke: %s", pg->home->name, pg->why);
  return TC_EBUSY;
}

static int out_of_memory(tci_pg *pg) {
  pg->home->env->fail(TC_ENOMEM, "");
  return TC_ENOMEM;
}

/* The last result, or the first that tells of an error. */
static void keep(PGresult **kept, PGresult *result) {
  ExecStatusType status = PQresultStatus(*kept);
  if (*kept && status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
    PQclear(result);
    return;
  }
  PQclear(*kept);
  *kept = result;
}

/* 1: all has come. 0: not until then. -1: the connection is broken. */
static int collect(tci_pg *pg, int64_t deadline_us, PGresult **kept) {
  for (;;) {
    int unsent = PQflush(pg->handle);
    if (unsent < 0) return -1;
    while (!unsent && !PQisBusy(pg->handle)) {
      PGresult *result = PQgetResult(pg->handle);
      if (!result) return PQstatus(pg->handle) == CONNECTION_OK ? 1 : -1;
      keep(kept, result);
    }
    int64_t left_us = deadline_us - tci_sys_monotonic_us(NULL);
    struct pollfd fd = {.fd = PQsocket(pg->handle), .events = (short)(POLLIN | (unsent ? POLLOUT : 0))};
    if (left_us <= 0) return 0;
    if (poll(&fd, 1, (int)(left_us / 1000) + 1) > 0 && fd.revents & (POLLIN | POLLERR | POLLHUP) && !PQconsumeInput(pg->handle)) return -1;
  }
}

int tci_pg_wait(tci_pg *pg, int64_t deadline_us, PGresult **out) {
  PGresult *result = NULL;
  int ended = collect(pg, deadline_us, &result);
  if (ended < 0) {
    PQclear(result);
    return broken(pg);
  }
  if (!ended) { /* what was collected so far is no whole answer: with it goes the connection, but for the very first result */
    if (result) {
      PQclear(result);
      return broken(pg);
    }
    pg->home->env->fail(TC_EUNKNOWN, "the database %s has not answered in time", pg->home->name);
    return TC_EUNKNOWN;
  }
  pg->sent_us = 0;
  ExecStatusType status = PQresultStatus(result); /* PGRES_FATAL_ERROR for NULL */
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
    *out = result;
    return TC_OK;
  }
  int code = result ? refused(pg, result) : out_of_memory(pg);
  PQclear(result);
  return code;
}

/* A session that still works on what nobody waits for is no use to anybody. */
static int give_up(tci_pg *pg, int code) {
  if (code != TC_EUNKNOWN) return code;
  tci_pg_drop(pg, "no answer in time");
  pg->retry_at_us = 0;
  pg->lost = 1;
  return TC_EBUSY; /* with the detail that is set */
}

/* The answer may take long, a connection not: who asks comes again. */
static int64_t up_by(int64_t deadline_us) {
  int64_t soon_us = tci_pg_in_ms(TCI_PG_TRY_MS);
  return soon_us < deadline_us ? soon_us : deadline_us;
}

static int prepare(tci_pg *pg, tci_pg_statement statement, const char *name, int64_t deadline_us) {
  PGresult *result = NULL;
  if (pg->prepared >> statement & 1) return TC_OK;
  if (!PQsendPrepare(pg->handle, name, tci_pg_sql[statement], 0, NULL)) return broken(pg);
  int code = give_up(pg, tci_pg_wait(pg, deadline_us, &result));
  PQclear(result);
  if (!code) pg->prepared |= UINT64_C(1) << statement;
  pg->lost = 0; /* nothing was asked for yet */
  return code;
}

int tci_pg_try(tci_pg *pg, tci_pg_statement statement, int64_t deadline_us, PGresult **out) {
  const char *values[TCI_PG_ARGS_MAX];
  int lengths[TCI_PG_ARGS_MAX], formats[TCI_PG_ARGS_MAX];
  char name[8];
  pg->lost = 0;
  for (size_t i = 0; i < pg->n; i++) {
    tci_buf *arg = &pg->args[i];
    if (arg->err) return out_of_memory(pg);
    if (pg->counts[i]) {
      uint32_t count = htonl((uint32_t)pg->counts[i]);
      memcpy(arg->data + ARRAY_LENGTH_AT, &count, sizeof count);
    } else if (arg->len == ARRAY_LENGTH_AT + 8) {
      memset(arg->data, 0, 4); /* an empty array has no dimension */
      arg->len = ARRAY_LENGTH_AT;
    }
    values[i] = pg->is_null[i] ? NULL : arg->len ? arg->data : "";
    lengths[i] = (int)arg->len;
    formats[i] = 1;
  }
  (void)snprintf(name, sizeof name, "s%d", (int)statement);
  int code = tci_pg_up(pg, up_by(deadline_us));
  if (!code) code = prepare(pg, statement, name, deadline_us);
  if (code) return code;
  pg->sent_us = tci_sys_monotonic_us(NULL);
  if (!PQsendQueryPrepared(pg->handle, name, (int)pg->n, values, lengths, formats, 1)) return broken(pg);
  return tci_pg_wait(pg, deadline_us, out);
}

int tci_pg_run(tci_pg *pg, tci_pg_statement statement, int64_t deadline_us, PGresult **out) { return give_up(pg, tci_pg_try(pg, statement, deadline_us, out)); }

int tci_pg_exec(tci_pg *pg, const char *sql, int64_t deadline_us, PGresult **out) {
  PGresult *result = NULL;
  pg->lost = 0;
  int code = tci_pg_up(pg, up_by(deadline_us));
  if (code) return code;
  pg->sent_us = tci_sys_monotonic_us(NULL);
  if (!PQsendQuery(pg->handle, sql)) return broken(pg);
  code = give_up(pg, tci_pg_wait(pg, deadline_us, &result));
  if (!code && out) *out = result;
  else PQclear(result);
  return code;
}
