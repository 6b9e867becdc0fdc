/* files.c - what stands for the files in a directory.
 *
 * The sum over all files of two hashes, so their order does not matter.
 */

#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "lib/chance.h"
#include "torture/files.h"

static uint64_t sum[2];
static size_t skip;             /* so many bytes of each name */

/* Make the two hashes go on over bytes. */
static void
mix (uint64_t hash[2], const void *bytes, size_t n)
{
  const unsigned char *p = bytes;

  while (n > 0) {
    const size_t len = n < 8 ? n : 8;
    uint64_t word = 0;

    memcpy (&word, p, len);
    hash[0] = chance_mix (hash[0] ^ word);
    hash[1] = chance_mix (hash[1] + word + len);
    p += len;
    n -= len;
  }
}

static bool
mix_content (uint64_t hash[2], const char *name)
{
  const int fd = open (name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  char buf[65536];
  ssize_t n = -1;

  while (fd != -1 && (n = read (fd, buf, sizeof buf)) > 0)
    mix (hash, buf, (size_t) n);
  if (fd != -1)
    close (fd);
  return n == 0;
}

static int
add_file (const char *name, const struct stat *st, int kind, struct FTW *ftw)
{
  const uint64_t about[] = {
    st->st_mode, st->st_uid, st->st_gid, S_ISDIR (st->st_mode) ? 0 : (uint64_t) st->st_size,
    st->st_nlink, st->st_rdev, (uint64_t) st->st_mtim.tv_sec, (uint64_t) st->st_mtim.tv_nsec,
  };
  uint64_t hash[2] = { 1, 2 };
  char target[4096];
  ssize_t n = 0;

  (void) ftw;
  if (kind == FTW_DNR || kind == FTW_NS)
    return 1;
  mix (hash, name + skip, strlen (name + skip));
  mix (hash, about, sizeof about);
  if (S_ISLNK (st->st_mode) && (n = readlink (name, target, sizeof target)) > 0)
    mix (hash, target, (size_t) n);
  if (n == -1 || (S_ISREG (st->st_mode) && !mix_content (hash, name)))
    return 1;
  sum[0] += hash[0];
  sum[1] += hash[1];
  return 0;
}

bool
files_digest (const char *dir, uint64_t digest[2])
{
  sum[0] = sum[1] = 0;
  skip = strlen (dir);
  if (nftw (dir, add_file, 20, FTW_PHYS | FTW_MOUNT) != 0)
    return false;
  digest[0] = sum[0];
  digest[1] = sum[1];
  return true;
}
