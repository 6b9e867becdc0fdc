/* place.c - where disks are seen. */

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/sys.h"
#include "torture/place.h"
#include "torture/tools.h"

#define NAME "disktorture-"

static const struct kind {
  const char *name, *options, *mkfs, *fsck, *mend;
} kinds[] = {
  { "ext4", "loop", "mkfs.ext4 -q -F -b 4096 \"$disk\"", "e2fsck -fn \"$image\"", NULL },
  /* Copies of a disk have its name. */
  { "xfs", "loop,nouuid", "mkfs.xfs -q -f -s size=$sector \"$disk\"",
    "xfs_repair -n \"$image\"", NULL },
  { "btrfs", "loop", "mkfs.btrfs -q -f \"$disk\"", "btrfs check --readonly \"$image\"", NULL },
  /* It writes no journal, so what recovers is e2fsck; and that gives up where a checksum is
   * older than what it is of.
   */
  { "fuse2fs", NULL, "mkfs.ext4 -q -F -b 4096 -O ^has_journal,^metadata_csum"
    " -E root_owner=$(id -u):$(id -g) \"$disk\"",
    "e2fsck -fn \"$image\"", "e2fsck -fy \"$image\"" },
};

static char *place;
static const char *mounted;     /* a directory, or NULL */
static pid_t fuse, fuse2fs;     /* nbdfuse and that, or 0 */

static const struct kind *
kind_of (const char *type)
{
  const struct kind *k = kinds, *const end = kinds + sizeof kinds / sizeof kinds[0];

  while (k < end && strcmp (k->name, type) != 0)
    k++;
  return k < end ? k : NULL;
}

bool
place_known (const char *type)
{
  return kind_of (type) != NULL;
}

/* btrfs takes a copy for another device of the same file system. */
bool
place_alone (const char *type)
{
  return strcmp (type, "btrfs") == 0;
}

const char *
place_mkfs (const char *type)
{
  return kind_of (type)->mkfs;
}

const char *
place_fsck (const char *type)
{
  return kind_of (type)->fsck;
}

const char *
place_mend (const char *type)
{
  return kind_of (type)->mend;
}

/*--------------------------------------------------------------------*/
/* The directory. */

static int
remove_one (const char *name, const struct stat *st, int kind, struct FTW *ftw)
{
  (void) st;
  (void) kind;
  (void) ftw;
  return remove (name) == 0 || errno == ENOENT || errno == EBUSY ? 0 : -1;
}

void
remove_all (const char *dir)
{
  /* Not into what may still be mounted. */
  nftw (dir, remove_one, 20, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static void
remove_place (void)
{
  char why[100];

  if (!place)
    return;
  if (mounted && fuse2fs == 0)
    umount2 (mounted, MNT_DETACH);
  if (fuse2fs > 0) {            /* so that it does not mount any more */
    kill (fuse2fs, SIGKILL);
    stopped (fuse2fs);
    help ((const char *const[]) { "fusermount3", "-u", "-z", mounted, NULL }, why, sizeof why);
  }
  place_no_disk ();
  remove_all (place);
}

/* What is mounted here is not seen outside; what is unmounted outside goes here, too (where
 * the mounts are shared, as systemd has it), so that no other disk is kept busy.
 */
static void
own_mounts (const char *type)
{
  if (!type || !kind_of (type)->options)
    return;
  if (unshare (CLONE_NEWNS) == -1
      /* EINVAL: in a chroot, / may be no mount, so it stays as it is. */
      || (mount (NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == -1 && errno != EINVAL))
    wrong ("--mount %s: %s: only root can mount that; with --mount fuse2fs anybody can, and "
           "without --mount, the workload has $disk and the check $image", type,
           strerror (errno));
}

/* The kernel writes a space as \040 there, and so on. */
static void
decode (char *s)
{
  char *to = s;

  for (; *s; s++) {
    unsigned c = (unsigned char) *s;

    if (*s == '\\' && sscanf (s + 1, "%3o", &c) == 1)
      s += 3;
    *to++ = (char) c;
  }
  *to = '\0';
}

/* What a file system in user space has left when it was killed. */
static void
unmount_left (const char *dir)
{
  FILE *f = fopen ("/proc/self/mounts", "re");
  char *line = NULL, *where, why[100];
  size_t size = 0;

  while (f && getline (&line, &size, f) > 0) {
    strtok (line, " ");
    where = strtok (NULL, " ");
    if (where)
      decode (where);
    if (where && strncmp (where, dir, strlen (dir)) == 0)
      help ((const char *const[]) { "fusermount3", "-u", "-z", where, NULL }, why, sizeof why);
  }
  free (line);
  if (f)
    fclose (f);
}

/* What a program has left that was killed: its number is part of the name. */
static void
remove_left (const char *dir)
{
  char *const pattern = text ("%s/" NAME "*", dir);
  glob_t found;

  if (glob (pattern, 0, NULL, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc; i++) {
      const int pid = atoi (found.gl_pathv[i] + strlen (dir) + 1 + strlen (NAME));

      if (pid > 0 && kill (pid, 0) == -1 && errno == ESRCH) {
        kill_told (found.gl_pathv[i]);
        unmount_left (found.gl_pathv[i]);
        remove_all (found.gl_pathv[i]);
      }
    }
    globfree (&found);
  }
  free (pattern);
}

const char *
place_begin (const char *type)
{
  const char *dir = getenv ("TMPDIR");

  if (!dir || !*dir)
    dir = access ("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
  own_mounts (type);
  remove_left (dir);
  place = text ("%s/" NAME "%d-XXXXXX", dir, (int) getpid ());
  if (!mkdtemp (place))
    wrong ("TMPDIR %s: %s", dir, strerror (errno));
  atexit (remove_place);
  return place;
}

const char *
place_share (unsigned number, const char *type)
{
  char *const dir = text ("%s/%u", place, number);

  own_mounts (type);
  if (mkdir (dir, 0777) == -1)
    wrong ("%s: %s", dir, strerror (errno));
  place = dir;                  /* this process removes no more than that */
  return dir;
}

const char *
place_disk (const char *uri)
{
  char *const pid_file = text ("%s/fuse.pid", place), *const log = text ("%s/fuse.log", place);
  char *const file = text ("%s/fuse/disk", place), *const dir = text ("%s/fuse", place);

  mkdir (dir, 0777);
  fuse = start ((const char *const[]) { "nbdfuse", "-P", pid_file, file, uri, NULL }, log);
  while (access (file, F_OK) != 0 || access (pid_file, F_OK) != 0) {
    if (waitpid (fuse, NULL, WNOHANG) == fuse)
      wrong ("can't show the disk as a file: %s (nbdfuse needs /dev/fuse)", last_line (log));
    usleep (2000);
  }
  free (pid_file);
  free (log);
  free (dir);
  return file;
}

void
place_no_disk (void)
{
  char *const dir = text ("%s/fuse", place);
  char why[200];

  if (fuse > 0) {
    if (!help ((const char *const[]) { "fusermount3", "-u", dir, NULL }, why, sizeof why))
      kill (fuse, SIGTERM);
    stopped (fuse);
  }
  fuse = 0;
  free (dir);
}

/* A loop device for a file, with nothing cached between, or NULL. */
static char *
attach (const char *file, char *why, size_t size)
{
  struct ended e = run ((const char *const[]) { "losetup", "-f", "--show", "--direct-io=on",
                                                file, NULL }, NULL, 0);
  char *const device = ended_well (&e) ? copy_of (e.last) : NULL;

  if (!device)
    snprintf (why, size, "%s", e.first);
  ended_free (&e);
  return device;
}

/* It goes when nobody uses it. */
static void
detach (char *device)
{
  char why[100];

  help ((const char *const[]) { "losetup", "-d", device, NULL }, why, sizeof why);
  free (device);
}

/* Take off "mount: DIR: ": only the rest is news. */
static void
shorten (char *why, const char *dir)
{
  const char *at = strstr (why, dir);

  if (at && strncmp (at + strlen (dir), ": ", 2) == 0) {
    at += strlen (dir) + 2;
    memmove (why, at, strlen (at) + 1);
  }
}

/* The loop device that mount makes goes even if both are killed. */
static bool
mount_it (const char *type, const char *what, const char *dir, const char *options, char *why,
          size_t size)
{
  const bool good = help ((const char *const[]) { "mount", "-t", type, "-o", options, what,
                                                  dir, NULL }, why, size);

  if (good)
    mounted = dir;
  else
    shorten (why, dir);
  return good;
}

/* Is something mounted there? */
static bool
is_mounted (const char *dir)
{
  char *const parent = text ("%s/..", dir);
  struct stat here, above;
  const bool yes = stat (dir, &here) == 0 && stat (parent, &above) == 0
    && here.st_dev != above.st_dev;

  free (parent);
  return yes;
}

/* The process ends when it is unmounted, and has written all then. */
static bool
mount_fuse2fs (const char *file, const char *dir, char *why, size_t size)
{
  char *const log = text ("%s.log", dir);
  char *last;

  unlink (log);
  mounted = dir;
  fuse2fs = start ((const char *const[]) { "fuse2fs", "-f", file, dir, NULL }, log);
  while (!is_mounted (dir)) {
    if (waitpid (fuse2fs, NULL, WNOHANG) == fuse2fs) {
      stopped (fuse2fs);
      fuse2fs = 0;
      mounted = NULL;
      last = last_line (log);
      snprintf (why, size, "%s", *last ? last : "fuse2fs ended");
      free (last);
      break;
    }
    check_signals ();
    usleep (1000);
  }
  free (log);
  return fuse2fs > 0;
}

static bool
unmount_fuse2fs (const char *dir, char *why, size_t size)
{
  const uint64_t end = sys_now () + 60 * SECOND;

  while (!help ((const char *const[]) { "fusermount3", "-u", dir, NULL }, why, size)) {
    if (sys_now () > end || !is_mounted (dir))
      return false;
    usleep (2000);
  }
  stopped (fuse2fs);
  fuse2fs = 0;
  mounted = NULL;
  return true;
}

bool
place_mount (const char *type, const char *file, const char *dir, bool direct, char *why,
             size_t size)
{
  const struct kind *k = kind_of (type);
  char *device;
  bool good;

  mkdir (dir, 0777);
  if (!k->options)
    return mount_fuse2fs (file, dir, why, size);
  if (!direct)
    return mount_it (type, file, dir, k->options, why, size);
  device = attach (file, why, size);
  good = device && mount_it (type, device, dir, "defaults", why, size);
  if (device)
    detach (device);
  return good;
}

bool
place_unmount (const char *dir, char *why, size_t size)
{
  const uint64_t end = sys_now () + 60 * SECOND;

  if (fuse2fs > 0)
    return unmount_fuse2fs (dir, why, size);
  while (umount (dir) == -1) {
    if (errno != EBUSY || sys_now () > end) {
      snprintf (why, size, "%s", strerror (errno));
      return false;
    }
    usleep (2000);              /* what was killed lets go */
  }
  mounted = NULL;
  return true;
}
