/* zonefile.c - TZif files (RFC 8536) and the TZ string in their footer (POSIX.1-2017 8.3, with the RFC's wider times). */
#include "zonefile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"
#include "tipcurrent/error.h"

#define HEADER_BYTES 44
#define TYPE_BYTES 6
#define PATH_BYTES 512

typedef struct header {
  uint32_t isut, isstd, leaps, times, types, chars;
} header;

typedef struct cursor {
  const unsigned char *at, *end;
} cursor;

static uint32_t be32(const unsigned char *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }
static int64_t be64(const unsigned char *p) { return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4)); }

/* 3.1: magic, version, 15 unused bytes, six counts. */
static int read_header(cursor *c, header *h) {
  if (c->end - c->at < HEADER_BYTES || memcmp(c->at, "TZif", 4) != 0 || c->at[4] < '2') return -1;
  const unsigned char *counts = c->at + 20;
  *h = (header){be32(counts), be32(counts + 4), be32(counts + 8), be32(counts + 12), be32(counts + 16), be32(counts + 20)};
  c->at += HEADER_BYTES;
  /* No count beyond the file's bytes: then the products below stay small. */
  return h->isut > TCI_ZONE_FILE_MAX || h->isstd > TCI_ZONE_FILE_MAX || h->leaps > TCI_ZONE_FILE_MAX || h->times > TCI_ZONE_FILE_MAX ||
             h->types > TCI_ZONE_FILE_MAX || h->chars > TCI_ZONE_FILE_MAX
           ? -1
           : 0;
}

static size_t block_bytes(const header *h, size_t time_bytes) {
  return h->times * (time_bytes + 1) + h->types * (size_t)TYPE_BYTES + h->chars + h->leaps * (time_bytes + 4) + h->isstd + h->isut;
}

static int read_offset(const unsigned char *type, int32_t *offset) {
  *offset = (int32_t)be32(type);
  return *offset > -90000 && *offset < TCI_ZONE_OFFSET_MAX ? 0 : -1;
}

/* 3.2: the block of 64-bit times. */
static int read_block(tci_zone *zone, const header *h, const unsigned char *at) {
  const unsigned char *index = at + h->times * (size_t)8, *types = index + h->times;
  if (read_offset(types, &zone->before)) return -1;
  for (uint32_t i = 0; i < h->times; i++) {
    zone->times[i] = be64(at + i * (size_t)8);
    if ((i && zone->times[i] <= zone->times[i - 1]) || index[i] >= h->types) return -1;
    if (read_offset(types + index[i] * (size_t)TYPE_BYTES, &zone->offsets[i])) return -1;
  }
  return 0;
}

/* 3.3: a newline, the TZ string (which may be empty), a newline. */
static int read_footer(tci_zone *zone, cursor c) {
  if (c.at == c.end || *c.at++ != '\n') return -1;
  const unsigned char *stop = memchr(c.at, '\n', (size_t)(c.end - c.at));
  if (!stop) return -1;
  return stop == c.at ? 0 : tci_zone_parse_tz(zone, (const char *)c.at, (size_t)(stop - c.at));
}

int tci_zone_parse(tci_zone **out, const void *bytes, size_t len) {
  cursor c = {bytes, (const unsigned char *)bytes + len};
  header h;
  if (len > TCI_ZONE_FILE_MAX || read_header(&c, &h)) return TC_EINVAL;
  size_t old = block_bytes(&h, 4); /* the first block has 32-bit times and is passed over */
  if (old > (size_t)(c.end - c.at)) return TC_EINVAL;
  c.at += old;
  if (read_header(&c, &h) || block_bytes(&h, 8) > (size_t)(c.end - c.at)) return TC_EINVAL;
  if (!h.types || !h.chars || h.leaps) return TC_EINVAL;
  tci_zone *zone = tci_zalloc(sizeof *zone + h.times * (sizeof *zone->times + sizeof *zone->offsets));
  if (!zone) return TC_ENOMEM;
  zone->count = h.times;
  zone->offsets = (int32_t *)(zone->times + h.times);
  int bad = read_block(zone, &h, c.at);
  c.at += block_bytes(&h, 8);
  if (bad || read_footer(zone, c)) {
    tci_zone_free(zone);
    return TC_EINVAL;
  }
  *out = zone;
  return TC_OK;
}

void tci_zone_free(tci_zone *zone) { tci_free(zone); }

int tci_zone_name_valid(const char *name) {
  size_t len = strnlen(name, TCI_ZONE_NAME_MAX + 1);
  if (!len || len > TCI_ZONE_NAME_MAX || name[0] < 'A' || name[0] > 'Z') return 0;
  static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/";
  return strspn(name, allowed) == len;
}

/* Whole, however small the pieces. -1 with errno; 0 at EISDIR too: that is no file of a zone. */
static int read_file(int fd, unsigned char *bytes, size_t room, size_t *len) {
  *len = 0;
  while (*len < room) {
    ssize_t n = read(fd, bytes + *len, room - *len);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return (int)n;
    *len += (size_t)n;
  }
  return 0;
}

int tci_zone_load(tci_zone **out, const char *dir, const char *name) {
  char path[PATH_BYTES];
  size_t len = 0;
  struct stat info;
  if (!tci_zone_name_valid(name)) return TC_ENOTFOUND;
  int written = snprintf(path, sizeof path, "%s/%s", dir, name);
  if (written < 0 || (size_t)written >= sizeof path) return TC_ENOTFOUND;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* should a FIFO lie there */
  if (fd < 0) return errno == ENOENT || errno == ENOTDIR ? TC_ENOTFOUND : TC_ESTORAGE;
  int rc = TC_ENOMEM;
  unsigned char *bytes = tci_alloc(TCI_ZONE_FILE_MAX + 1);
  if (!bytes) goto done;
  rc = TC_ESTORAGE;
  if (fstat(fd, &info)) goto done;
  rc = TC_ENOTFOUND;
  if (!S_ISREG(info.st_mode)) goto done;
  rc = read_file(fd, bytes, TCI_ZONE_FILE_MAX + 1, &len) ? TC_ESTORAGE : tci_zone_parse(out, bytes, len);

done:
  tci_free(bytes);
  (void)close(fd); /* it was only read */
  return rc;
}

static int peek(const cursor *c) { return c->at < c->end ? *c->at : -1; }

static int take(cursor *c, int want) {
  if (peek(c) != want) return 0;
  c->at++;
  return 1;
}

static int is_letter(int c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
static int is_digit(int c) { return c >= '0' && c <= '9'; }

/* A name is of no interest: letters, or anything between angle brackets. */
static int pass_name(cursor *c) {
  const unsigned char *begin = c->at;
  if (take(c, '<')) {
    while (is_letter(peek(c)) || is_digit(peek(c)) || peek(c) == '+' || peek(c) == '-') c->at++;
    return c->at - begin > 3 && take(c, '>') ? 0 : -1;
  }
  while (is_letter(peek(c))) c->at++;
  return c->at - begin >= 3 ? 0 : -1;
}

static int read_number(cursor *c, int max, int *out) {
  int value = 0;
  if (!is_digit(peek(c))) return -1;
  while (is_digit(peek(c))) {
    value = value * 10 + (*c->at++ - '0');
    if (value > max) return -1;
  }
  *out = value;
  return 0;
}

/* [+-]hh[:mm[:ss]] */
static int read_time(cursor *c, int max_hours, int32_t *out) {
  int sign = take(c, '-') ? -1 : 1, hours, minutes = 0, seconds = 0;
  if (sign > 0) (void)take(c, '+');
  if (read_number(c, max_hours, &hours)) return -1;
  if (take(c, ':') && read_number(c, 59, &minutes)) return -1;
  if (take(c, ':') && read_number(c, 59, &seconds)) return -1;
  *out = sign * (hours * 3600 + minutes * 60 + seconds);
  return 0;
}

static int read_rule(cursor *c, tci_zone_rule *rule) {
  *rule = (tci_zone_rule){.form = TCI_RULE_DAY, .time = 7200};
  if (take(c, 'M')) {
    rule->form = TCI_RULE_MONTH;
    if (read_number(c, 12, &rule->month) || !rule->month || !take(c, '.')) return -1;
    if (read_number(c, 5, &rule->week) || !rule->week || !take(c, '.') || read_number(c, 6, &rule->day)) return -1;
  } else if (take(c, 'J')) {
    rule->form = TCI_RULE_JULIAN;
    if (read_number(c, 365, &rule->day) || !rule->day) return -1;
  } else if (read_number(c, 365, &rule->day)) {
    return -1;
  }
  return take(c, '/') ? read_time(c, 167, &rule->time) : 0;
}

int tci_zone_parse_tz(tci_zone *zone, const char *text, size_t len) {
  cursor c = {(const unsigned char *)text, (const unsigned char *)text + len};
  int32_t west;
  if (pass_name(&c) || read_time(&c, 24, &west)) return -1;
  zone->std = -west; /* POSIX counts westwards */
  zone->dst = zone->std + 3600;
  zone->has_dst = c.at < c.end;
  if (zone->has_dst) {
    if (pass_name(&c)) return -1;
    if (peek(&c) != ',') {
      if (read_time(&c, 24, &west)) return -1;
      zone->dst = -west;
    }
    if (!take(&c, ',') || read_rule(&c, &zone->begin) || !take(&c, ',') || read_rule(&c, &zone->end)) return -1;
  }
  if (c.at != c.end) return -1;
  zone->has_rule = 1;
  return 0;
}
