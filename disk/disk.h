/* disk.h - the disks that clients can name: the live one, and snapshots.
 *
 * A disk is a store that may have initial content: a function says what a
 * page holds until it is first written, zeroed or trimmed.  Such content is
 * made when it is read, and takes no memory.  And a disk may have a medium, on
 * which something is wrong (disk/medium.h).
 *
 * Any number of threads may use a disk at the same time.  Ranges are those of
 * store.h: offset + count <= disk_size(), checked by the caller.  Functions
 * that return int return 0 or an errno code, and report nothing.
 */

#ifndef DISK_H
#define DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "request.h"
#include "store.h"

struct disk;
struct medium;
struct record;

/* What a volatile cache knows of a request from its entry to its completion.  Each part
 * and copy of the request points to it.
 */
struct visit {
  uint64_t cuts, entered, failures;     /* so many had been when it entered */
  struct record *records;       /* what it has changed */
  bool flushed;                 /* a flush has come to the disk */
  bool only_own;                /* which covers only its own connection: a lie */
  bool no_fua;                  /* its FUA is a lie */
  bool drops;                   /* if it fails, what it covered is lost */
  bool altered;                 /* a fault has changed or lost what it was to write */
};

/* Make the initial content of a range, which begins at a page and ends at one
 * or at the end of the disk, and is at most DISK_FILL_MAX bytes long.  CONTEXT
 * is what the caller of disk_read, disk_write or disk_zero gave.
 * The same range must get the same content each time.  Called by any thread,
 * with no lock held except, where a medium limits the space, one that only
 * requests take.  Returns 0 or an errno code, which the caller of disk_read and
 * so on gets; it must return, and not leave by longjmp.
 */
typedef int (*disk_fill_fn) (void *context, void *buf, uint64_t count,
                             uint64_t offset);
#define DISK_FILL_MAX ((uint64_t) 256 * 1024)

/*--------------------------------------------------------------------*/
/* Which disks there are, and of what each consists (disk/list.c). */

/* Make the live disk, whose name is "", with a medium without faults.  SIZE is
 * in bytes, at most STORE_MAX_SIZE.  Before all other functions, once.  ENOMEM:
 * there is no disk.
 */
int disk_start (uint64_t size);

/* Forget all disks.  No one else uses any. */
void disk_stop (void);

/* The live disk, which lives until disk_stop.  NULL before disk_start.  Takes no
 * lock.
 */
struct disk *disk_live (void);

/* Find a disk by name, and keep it until disk_put.  NULL: there is none.  A crash state
 * is found while somebody keeps it (disk/crash.h makes it).
 */
struct disk *disk_get (const char *name);

/* The same, if it is a copy of the live disk: a snapshot or a crash state.  (The marks are
 * none, and have a size of their own.)
 */
struct disk *disk_get_copy (const char *name);
void disk_put (struct disk *d);

/* Call EACH with the name of every disk that can be opened, the live one first, and
 * with what it is, until it returns other than 0; returns that.  Of the crash states,
 * these are some.  EACH must not call functions of this header, because the list is
 * locked.
 */
int disk_names (int (*each) (void *context, const char *name, const char *about),
                void *context);

/* Put into the history of a request's disk, if it has one, that a rule has fired. */
void disk_note_fault (const struct request *req, const char *rule);

/* The export whose writes are marks (crash_mark in disk/crash.h). */
#define DISK_MARKS "marks"

/* Is this the name of a crash state, whether or not there is such a one, or of the marks?
 * Hooks and most rules do not see them.
 */
static inline bool
disk_is_state (const char *name)
{
  return strncmp (name, "crash/", 6) == 0 || strcmp (name, DISK_MARKS) == 0;
}

/* Make a copy-on-write copy of FROM under a new name, without a medium.
 * EEXIST: the name is taken.  ENOMEM.
 */
int disk_snapshot (struct disk *from, const char *name);

/* Make a disk what another one of its family (disk_snapshot) holds, at one moment.
 * Of a request that is under way at that moment, each 64 KiB comes before it or after
 * it.  It is the same disk for those that are connected to it, what is wrong with its
 * medium stays, and FROM is as it was.  Pages are shared, not copied.  Two calls must
 * not make the same disks each other at the same time.  ENOMEM: it is as it was.
 */
int disk_revert (struct disk *d, struct disk *from);

/* Take a snapshot off the list; it goes when the last connection to it does.
 * ENOENT: there is none of that name, or it is the live disk.
 */
int disk_drop (const char *name);

/* Give a disk initial content.  Only before it is served.  NULL takes it away,
 * which MAKE itself may do.  ENOMEM; ENOTSUP: its history is from a file, which knows of
 * none: the disk is as it was.
 */
int disk_set_fill (struct disk *d, disk_fill_fn make);

/* A volatile write cache. */
struct disk_cache {
  uint32_t sector;              /* 512 or 4096 bytes */
  uint64_t atomic;              /* a power of two, at least that; 0: no request is atomic */
  uint64_t history;             /* bytes of requests to remember; 0: none */

  /* Told once, with locks held, when that is full: before the request of this number.
   * NULL: nobody is.
   */
  void (*full) (const struct disk_cache *how, uint64_t number);
};

/* Give a disk a volatile write cache.  Only before it is served.  ENOMEM: it has none. */
int disk_set_cache (struct disk *d, const struct disk_cache *how);

/*--------------------------------------------------------------------*/
/* One disk (disk/disk.c). */

/* The store below a disk of which it holds all the content; NULL if there is more, such
 * as initial content.  Reads may go to the store directly, where the medium does not
 * want them; other requests, too, if the disk has no cache.
 */
struct store *disk_store (const struct disk *d);

/* The number of power cuts of a disk with a volatile cache; NULL: it has none.  A read
 * during which it grows must fail with ESHUTDOWN.
 */
const _Atomic uint64_t *disk_cuts (const struct disk *d);

/* The medium of a disk; NULL: it has none, so nothing can be wrong with it. */
struct medium *disk_medium (const struct disk *d);

const char *disk_name (const struct disk *d);

/* What it is, for people. */
const char *disk_about (const struct disk *d);

/* A number from 1 on that no other disk has or had, also not one of the same name. */
uint64_t disk_number (const struct disk *d);

uint64_t disk_size (const struct disk *d);

/* What its cache keeps or loses as a whole, or 512 bytes. */
uint32_t disk_sector (const struct disk *d);

/* As store_allocated: what the disk, its snapshots and those from which it comes
 * hold together.  And as store_stored: what it shows itself.
 */
uint64_t disk_allocated (const struct disk *d);
uint64_t disk_stored (const struct disk *d);

/* How many bytes more a write to a range would allocate: a multiple of the page
 * size.
 */
uint64_t disk_growth (struct disk *d, uint64_t count, uint64_t offset);

/* The same for disk_zero: not 0 only where a part of a page is zeroed that has
 * initial content or is shared with a snapshot.
 */
uint64_t disk_zero_growth (struct disk *d, uint64_t count, uint64_t offset);

/* As in store.h, but initial content shows through (and what is written is durable at
 * once, where there is a cache), and reads and the edges
 * of writes may fail with what the fill function returned: a read then has left
 * BUF undefined, and nothing was written or zeroed.
 */
int disk_read (struct disk *d, void *buf, uint64_t count, uint64_t offset,
               void *context);
int disk_write (struct disk *d, const void *buf, uint64_t count,
                uint64_t offset, void *context);
int disk_zero (struct disk *d, uint64_t count, uint64_t offset,
               void *context);
uint64_t disk_extent (struct disk *d, uint64_t count, uint64_t offset,
                      bool *data);

/* As disk_zero, but only a hint: where there is no memory to zero a part of a page,
 * or to note that initial content is gone, the disk stays as it is.
 */
int disk_trim (struct disk *d, uint64_t count, uint64_t offset);

/* A request enters, before hooks and rules, and completes, after them, with an errno
 * code or 0; the answer is 0 or the errno code with which it completes.  In between,
 * REQ->visit is VISIT.  Only for requests to a disk with a cache, each once: flush and
 * FUA take effect in disk_leave.  ESHUTDOWN from disk_enter: the power is off, and the
 * request fails at once, without disk_leave.
 */
int disk_enter (struct request *req, struct visit *visit);
int disk_leave (struct request *req, int err);

/* Was the power cut since a request entered, so that it has failed? */
static inline bool
disk_was_cut (const struct request *req)
{
  return req->visit && req->visit->cuts != *req->conn->cuts;
}

/* Do what a request asks for, to the disk of its connection.  Without a cache, writes
 * are kept at once, so flush and FUA have nothing to do.  A trim does not fail for lack
 * of memory.  0 or an errno code.
 */
int disk_perform (struct request *req);

/* What is volatile. */
struct unflushed { uint64_t requests, sectors, bytes; };
struct unflushed disk_unflushed (struct disk *d);

/* Is its power off (disk/crash.h)? */
bool disk_is_off (const struct disk *d);

#endif /* DISK_H */
