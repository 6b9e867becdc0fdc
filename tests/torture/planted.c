/* planted.c - a key-value store that is right, and bugs to plant in it.
 *
 *   planted work [BUG]...    put values for some keys; acknowledge each as KEY=VERSION
 *   planted check [BUG]...   does the store hold what is acknowledged in the file $acked?
 *
 * In $dir, each key has a file, which a new one replaces.  Without $dir, the store is a log
 * in $disk, or $image for the check.  Both have records with a checksum.  If a value is
 * written in place, it has none, and then the log has one place for each key.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEYS 2                  /* 1 is the first */

enum bug {
  NO_FSYNC,                     /* of what is written */
  NO_DIR_FSYNC,                 /* after the rename */
  IN_PLACE,                     /* over the old value, and without a checksum */
  UNCHECKED_WRITE, UNCHECKED_FSYNC,     /* what they return is not looked at */
  SWALLOWED_EIO,                /* a put that fails with EIO is acknowledged */
  BUGS
};

static const char *const names[BUGS] = {
  "no-fsync", "no-dir-fsync", "in-place", "unchecked-write", "unchecked-fsync",
  "swallowed-eio",
};

static bool planted[BUGS];

/* The keys that are put; the version of each counts from 1. */
static const uint32_t keys[] = { 1, 2, 1 };

struct record {
  uint32_t sum, key, version;   /* key 0: there is none */
  unsigned char value[4096 - 12];
};

static int store;               /* the directory, or the disk */
static bool in_files;

static uint32_t
sum_of (const struct record *r)
{
  const unsigned char *const bytes = (const unsigned char *) r;
  uint32_t sum = 2166136261u;

  for (size_t i = sizeof r->sum; i < sizeof *r; i++)
    sum = (sum ^ bytes[i]) * 16777619u;
  return sum;
}

static struct record
make_record (uint32_t key, uint32_t version)
{
  struct record r = { .key = key, .version = version };

  memset (r.value, (int) (16 * key + version), sizeof r.value);
  r.sum = planted[IN_PLACE] ? 0 : sum_of (&r);
  return r;
}

/*--------------------------------------------------------------------*/
/* Put.  These return whether it went well; errno says why it did not. */

static bool
written (int fd, const struct record *r, off_t at)
{
  const ssize_t n = pwrite (fd, r, sizeof *r, at);

  if (n >= 0 && n < (ssize_t) sizeof *r)
    errno = ENOSPC;
  return n == (ssize_t) sizeof *r || planted[UNCHECKED_WRITE];
}

static bool
synced (int fd)
{
  return fsync (fd) == 0 || planted[UNCHECKED_FSYNC];
}

static bool
put_file (const struct record *r)
{
  char name[16], new[20];
  bool good;
  int fd;

  snprintf (name, sizeof name, "%u", r->key);
  snprintf (new, sizeof new, "%s%s", name, planted[IN_PLACE] ? "" : ".new");
  fd = openat (store, new, O_WRONLY | O_CREAT | (planted[IN_PLACE] ? 0 : O_TRUNC), 0666);
  if (fd == -1)
    return false;
  good = written (fd, r, 0) && (planted[NO_FSYNC] || synced (fd));
  if (close (fd) == -1 || !good)
    return false;
  return (planted[IN_PLACE] || renameat (store, new, store, name) == 0)
    && (planted[NO_DIR_FSYNC] || synced (store));
}

static bool
put_in_log (const struct record *r, off_t n)
{
  return written (store, r, (planted[IN_PLACE] ? r->key : n) * (off_t) sizeof *r)
    && (planted[NO_FSYNC] || synced (store));
}

static int
work (void)
{
  uint32_t version[KEYS + 1] = { 0 };

  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    const uint32_t key = keys[i];
    const struct record r = make_record (key, ++version[key]);

    if (!(in_files ? put_file (&r) : put_in_log (&r, (off_t) i))
        && !(errno == EIO && planted[SWALLOWED_EIO])) {
      perror ("planted: put");
      return 1;
    }
    printf ("ack %u=%u\n", key, version[key]);
    fflush (stdout);
  }
  return 0;
}

/*--------------------------------------------------------------------*/
/* Check. */

static void
unreadable (void)
{
  printf ("the store can't be read: %s\n", strerror (errno));
  exit (1);
}

static bool
get_at (int fd, off_t place, struct record *r)
{
  memset (r, 0, sizeof *r);
  if (pread (fd, r, sizeof *r, place * (off_t) sizeof *r) == -1)
    unreadable ();
  return planted[IN_PLACE] || r->sum == sum_of (r);
}

/* What comes after a record that is not whole was never acknowledged. */
static bool
get_from_log (uint32_t key, struct record *r)
{
  struct record next;

  if (planted[IN_PLACE])
    return get_at (store, key, r);
  *r = (struct record) { .key = 0 };
  for (off_t i = 0; get_at (store, i, &next); i++)
    if (next.key == key)
      *r = next;
  return true;
}

/* Find a key; whether it is whole. */
static bool
get (uint32_t key, struct record *r)
{
  char name[16];
  bool whole;
  int fd;

  if (!in_files)
    return get_from_log (key, r);
  snprintf (name, sizeof name, "%u", key);
  *r = (struct record) { .key = 0 };
  fd = openat (store, name, O_RDONLY);
  if (fd == -1 && errno != ENOENT)
    unreadable ();
  if (fd == -1)
    return true;
  whole = get_at (fd, 0, r);
  close (fd);
  return whole;
}

static int
check (const char *acked)
{
  uint32_t promised[KEYS + 1] = { 0 }, key, version;
  FILE *f = acked ? fopen (acked, "r") : NULL;
  struct record r;

  if (!f) {
    printf ("no $acked: %s\n", strerror (errno));
    return 2;
  }
  while (fscanf (f, "%u=%u", &key, &version) == 2 && key <= KEYS)
    promised[key] = version;
  fclose (f);
  for (key = 1; key <= KEYS; key++) {
    const bool whole = get (key, &r);
    const struct record right = make_record (key, r.version);

    if (!whole || (r.key && memcmp (&r, &right, sizeof r) != 0))
      printf ("key %u is damaged\n", key);
    else if (promised[key] && !r.key)
      printf ("key %u is missing\n", key);
    else if (r.version < promised[key])
      printf ("key %u has version %u, not %u\n", key, r.version, promised[key]);
    else
      continue;
    return 1;
  }
  return 0;
}

static bool
plant (const char *name)
{
  int bug = 0;

  while (bug < BUGS && strcmp (name, names[bug]) != 0)
    bug++;
  if (bug < BUGS)
    planted[bug] = true;
  return bug < BUGS;
}

int
main (int argc, char **argv)
{
  const bool works = argc > 1 && strcmp (argv[1], "work") == 0;
  const char *name = getenv ("dir");

  for (int i = 2; i < argc; i++)
    if (!plant (argv[i])) {
      printf ("there is no bug %s\n", argv[i]);
      return 2;
    }
  in_files = name != NULL;
  if (!in_files)
    name = getenv (works ? "disk" : "image");
  store = name ? open (name, works && !in_files ? O_RDWR : O_RDONLY) : -1;
  if (store == -1) {
    printf ("there is no store: %s\n", strerror (errno));
    return 2;
  }
  return works ? work () : check (getenv ("acked"));
}
