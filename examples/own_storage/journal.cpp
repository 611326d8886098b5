#include "journal.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

const char MAGIC[] = "tcjrnl1\n";
const std::int64_t MAGIC_BYTES = 8;
const std::size_t HEAD_BYTES = 12; /* length, checksum of the payload, checksum of these two */

std::uint32_t checksum(const char *at, std::size_t len) { /* CRC-32 as in IEEE 802.3 */
  std::uint32_t sum = ~0u;
  for (std::size_t i = 0; i < len; i++) {
    sum ^= static_cast<unsigned char>(at[i]);
    for (int bit = 0; bit < 8; bit++) sum = (sum >> 1) ^ (sum & 1 ? 0xedb88320u : 0);
  }
  return ~sum;
}

void put32(char *to, std::uint32_t value) {
  for (int i = 0; i < 4; i++) to[i] = static_cast<char>(value >> (8 * i) & 0xff);
}

std::uint32_t get32(const char *from) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; i++) value |= static_cast<std::uint32_t>(static_cast<unsigned char>(from[i])) << (8 * i);
  return value;
}

bool write_all(int fd, const char *bytes, std::size_t len, std::int64_t at) {
  while (len) {
    ssize_t n = pwrite(fd, bytes, len, at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes += n;
    len -= static_cast<std::size_t>(n);
    at += n;
  }
  return true;
}

bool read_all(int fd, char *bytes, std::size_t len, std::int64_t at) {
  while (len) {
    ssize_t n = pread(fd, bytes, len, at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes += n;
    len -= static_cast<std::size_t>(n);
    at += n;
  }
  return true;
}

/* The name of a new file is durable when its directory is. */
bool sync_directory(const std::string &path) {
  std::size_t slash = path.rfind('/');
  std::string where = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  int fd = ::open(where.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  bool done = fsync(fd) == 0;
  (void)close(fd);
  return done;
}

} // namespace

journal::~journal() {
  if (fd_ >= 0) (void)close(fd_); /* what was durable is so already; the lock goes with it */
}

int journal::fail(int code, const char *what) const {
  if (code == TC_ESTORAGE) env_.fail(code, "%s: %s: %s", path_.c_str(), what, std::strerror(errno));
  else env_.fail(code, "%s: %s", path_.c_str(), what);
  return code;
}

int journal::begin(const std::string &path) {
  if (!write_all(fd_, MAGIC, MAGIC_BYTES, 0) || ftruncate(fd_, MAGIC_BYTES) || fsync(fd_) || !sync_directory(path))
    return fail(TC_ESTORAGE, "cannot begin the file");
  return TC_OK;
}

int journal::open(const std::string &path, const tc_storage_env &env, const frame_fn &fn) {
  struct stat status;
  char magic[MAGIC_BYTES];
  path_ = path;
  env_ = env;
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd_ < 0) return fail(TC_ESTORAGE, "cannot open");
  if (flock(fd_, LOCK_EX | LOCK_NB)) return errno == EWOULDBLOCK ? fail(TC_EBUSY, "somebody has it open") : fail(TC_ESTORAGE, "cannot lock");
  if (fstat(fd_, &status)) return fail(TC_ESTORAGE, "cannot look at it");
  if (status.st_size < MAGIC_BYTES) { /* new, or its beginning was interrupted; anything else is somebody's file */
    std::size_t len = static_cast<std::size_t>(status.st_size);
    if (!read_all(fd_, magic, len, 0) || std::memcmp(magic, MAGIC, len)) return fail(TC_ECORRUPT, "is no journal");
    int code = begin(path);
    if (code) return code;
    status.st_size = MAGIC_BYTES;
  }
  if (!read_all(fd_, magic, sizeof magic, 0)) return fail(TC_ESTORAGE, "cannot read");
  if (std::memcmp(magic, MAGIC, sizeof magic)) return fail(TC_ECORRUPT, "is no journal");
  end_ = status.st_size;
  std::int64_t size = end_, whole = MAGIC_BYTES;
  int code = read([&](std::string payload) {
    whole += static_cast<std::int64_t>(HEAD_BYTES + payload.size());
    return fn(std::move(payload));
  });
  if (code) return code;
  end_ = whole;
  torn_ = whole < size; /* the frame that was being written: nobody was told of it */
  return settle();
}

/* What stands behind a frame that is not whole: nothing, or zeros where the file grew but the bytes did not come, and then it is the one that was being written; else it is damaged. */
int journal::not_whole(std::int64_t end_of_frame) const {
  char bytes[4096];
  for (std::int64_t at = end_of_frame; at < end_;) {
    std::size_t n = static_cast<std::size_t>(std::min<std::int64_t>(end_ - at, sizeof bytes));
    if (!read_all(fd_, bytes, n, at)) return fail(TC_ESTORAGE, "cannot read");
    if (std::count(bytes, bytes + n, '\0') != static_cast<std::ptrdiff_t>(n)) return fail(TC_ECORRUPT, "a frame is damaged");
    at += static_cast<std::int64_t>(n);
  }
  return TC_OK;
}

int journal::read(const frame_fn &fn) const {
  const std::int64_t head_bytes = HEAD_BYTES;
  for (std::int64_t at = MAGIC_BYTES; at < end_;) {
    char head[HEAD_BYTES];
    if (end_ - at < head_bytes) return TC_OK;
    if (!read_all(fd_, head, sizeof head, at)) return fail(TC_ESTORAGE, "cannot read");
    at += head_bytes;
    std::uint32_t len = get32(head);
    if (checksum(head, 8) != get32(head + 8)) return not_whole(at);
    if (len > end_ - at) return TC_OK;
    std::string payload(len, '\0');
    if (len && !read_all(fd_, &payload[0], len, at)) return fail(TC_ESTORAGE, "cannot read");
    at += len;
    if (checksum(payload.data(), len) != get32(head + 4)) return not_whole(at);
    if (!fn(std::move(payload))) return fail(TC_ECORRUPT, "a frame makes no sense");
  }
  return TC_OK;
}

int journal::append(const std::string &payload, bool durable) {
  if (payload.size() > UINT32_MAX) {
    env_.fail(TC_ESTORAGE, "%zu bytes are too many for one frame", payload.size());
    return TC_ESTORAGE;
  }
  std::string frame(HEAD_BYTES, '\0');
  put32(&frame[0], static_cast<std::uint32_t>(payload.size()));
  put32(&frame[4], checksum(payload.data(), payload.size()));
  put32(&frame[8], checksum(frame.data(), 8));
  frame += payload;
  if (settle()) return fail(TC_ESTORAGE, "an earlier write has failed");
  if (write_all(fd_, frame.data(), frame.size(), end_) && (!durable || fdatasync(fd_) == 0)) {
    end_ += static_cast<std::int64_t>(frame.size());
    return TC_OK;
  }
  (void)fail(TC_ESTORAGE, "cannot write");
  torn_ = true;
  return settle() ? TC_EUNKNOWN : TC_ESTORAGE;
}

int journal::settle() {
  if (!torn_) return TC_OK;
  if (ftruncate(fd_, end_) || fdatasync(fd_)) return fail(TC_EUNKNOWN, "cannot take back what was not written whole");
  torn_ = false;
  return TC_OK;
}
