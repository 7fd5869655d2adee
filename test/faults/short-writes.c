// To be preloaded into a broker: of the writes into files of its log, every SHORT_EVERY-th moves
// half of its bytes only, as a system may that is interrupted or runs out of space in the middle.
// Each adds a byte to the file SHORT_COUNT, so that a test can tell that it happened.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

// Writes past the page cache end at a block of the disk, short ones as well.
#define BLOCK 4096
#define PARTS 64

static int writes;

static int is_log(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 4) return 0;
  path[length] = 0;
  return strstr(path, "/log/") != NULL && strcmp(path + length - 4, ".log") == 0;
}

// How many of `bytes` are to be moved.
static size_t allowed(int fd, size_t bytes) {
  size_t half = bytes / 2 / BLOCK * BLOCK;
  const char *every = getenv("SHORT_EVERY"), *count = getenv("SHORT_COUNT");
  if (half == 0 || every == NULL || count == NULL || !is_log(fd)) return bytes;
  if (__atomic_add_fetch(&writes, 1, __ATOMIC_SEQ_CST) % atoi(every) != 0) return bytes;
  int seen = open(count, O_WRONLY | O_APPEND | O_CREAT, 0600);
  if (seen < 0 || write(seen, "x", 1) != 1) abort();
  close(seen);
  return half;
}

ssize_t pwrite64(int fd, const void *from, size_t bytes, off64_t at) {
  static ssize_t (*next)(int, const void *, size_t, off64_t);
  if (next == NULL) next = dlsym(RTLD_NEXT, "pwrite64");
  return next(fd, from, allowed(fd, bytes), at);
}

ssize_t pwritev64(int fd, const struct iovec *from, int count, off64_t at) {
  static ssize_t (*next)(int, const struct iovec *, int, off64_t);
  if (next == NULL) next = dlsym(RTLD_NEXT, "pwritev64");
  size_t bytes = 0;
  for (int i = 0; i < count; i++) bytes += from[i].iov_len;
  size_t left = count > PARTS ? bytes : allowed(fd, bytes);
  if (left == bytes) return next(fd, from, count, at);
  struct iovec some[PARTS];
  int used = 0;
  for (; left > 0; used++) {
    some[used] = from[used];
    if (some[used].iov_len > left) some[used].iov_len = left;
    left -= some[used].iov_len;
  }
  return next(fd, some, used, at);
}

ssize_t pwrite(int fd, const void *from, size_t bytes, off_t at) {
  return pwrite64(fd, from, bytes, at);
}

ssize_t pwritev(int fd, const struct iovec *from, int count, off_t at) {
  return pwritev64(fd, from, count, at);
}
