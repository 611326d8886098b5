/* guard.c - what keeps a second copy of SQLite in this process from doing harm (a host with its own SQLite linked in looks at our files).
 *
 * SQLite's locks are POSIX locks: they do not hold between two copies in one process, and when one copy closes the file, the locks of the other are gone. So the other copy takes itself for
 * the only user: as it comes it empties the WAL's index (-shm) under our feet, as it goes it deletes the WAL that we go on writing to, and what was answered is lost (measured: every event
 * after its close). Locks of an open file description (F_OFD_SETLK) do hold against both. Two are enough: "somebody reads the database" refuses the exclusive lock without which
 * no WAL is deleted, and "somebody uses the WAL's index" leaves that as it is. Bytes as in SQLite's os.h and os_unix.c, where they are part of the file format.
 *
 * Reading by another copy is harmless with that; writing is not, nothing can be done about it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "storage/sqlite/sqlite.h"

#define SHARED_FIRST 0x40000002 /* PENDING_BYTE + 2 */
#define SHARED_SIZE 510
#define SHM_DMS 128 /* behind the locks of the WAL's index: the dead man's switch */

static int lock(int fd, short type, off_t start, off_t len) {
  struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
  int rc;
  do rc = fcntl(fd, F_OFD_SETLK, &range);
  while (rc && errno == EINTR);
  return rc;
}

static int hold(tc_storage *storage, const char *path, const char *suffix, off_t start, off_t len) {
  tci_guard *guard = &storage->guard;
  char name[PATH_MAX + 8];
  (void)snprintf(name, sizeof name, "%s%s", path, suffix);
  int fd = open(name, O_RDONLY | O_CLOEXEC);
  /* Kept also when the lock fails: closing it now would take SQLite's own locks away. */
  if (fd >= 0) guard->fds[guard->count++] = fd;
  if (fd >= 0 && !lock(fd, F_RDLCK, start, len)) return TC_OK;
  storage->env.fail(TC_ESTORAGE, "cannot open %s: lock for other copies of SQLite: %s", name, strerror(errno));
  return TC_ESTORAGE;
}

int tci_guard_take(tc_storage *storage) {
  const char *const paths[] = {storage->files.log, storage->files.index, storage->files.work};
  int code = TC_OK;
  for (size_t i = 0; i < sizeof paths / sizeof *paths && !code; i++) {
    code = hold(storage, paths[i], "", SHARED_FIRST, SHARED_SIZE);
    if (!code) code = hold(storage, paths[i], "-shm", SHM_DMS, 1);
  }
  return code;
}

void tci_guard_release(tci_guard *guard) {
  for (int i = 0; i < guard->count; i++) (void)lock(guard->fds[i], F_UNLCK, 0, 0); /* cannot fail: it asks for nothing */
}

void tci_guard_close(tci_guard *guard) {
  while (guard->count) (void)close(guard->fds[--guard->count]);
}
