/* crash.h - power cuts: of the live disk, and of disks that stand for what a cut at some
 * moment would have left.
 *
 * A crash state is a disk of its own, which may be written to:
 *
 *      crash/POINT/CHOICE              such as crash/now/sectors-7
 *      crash/POINT/CHOICE+cache        with a volatile cache of its own, whose states are
 *      crash/now/none+cache/crash/POINT/CHOICE
 *
 * The moment is "now", when the state is first opened, or, with a history, one of the past
 * (history_point, in disk/history.h).  For CHOICE see disk/choice.h.
 */

#ifndef DISK_CRASH_H
#define DISK_CRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "disk/disk.h"
#include "disk/history.h"

/* How many states there may be at once. */
#define CRASH_STATES 1000

/* Is this text a choice?  0 or EINVAL, with a sentence in WHY of SIZE bytes; ENOMEM. */
int crash_check (const char *choice, char *why, size_t size);

/* Find a disk by name, as disk_get, or make the crash state of that name, which lives
 * until the last one who keeps it gives it up with disk_put.  NULL: WHY, of SIZE bytes,
 * has a sentence about a crash state, and is empty if there is no disk of such a name.
 */
struct disk *crash_open (const char *name, char *why, size_t size);

struct crash_cut {
  const char *choice;
  bool torn;                    /* of each request in flight, one sector is torn, */
  bool bad;                     /* or can't be read until it is rewritten */
};

/* Cut the power of the live disk: it becomes that state, and its requests, those that
 * are on their way too, fail with ESHUTDOWN until crash_power_on.  0; EINVAL, with a
 * sentence in WHY of SIZE bytes; ENOMEM: nothing was done.
 */
int crash_cut (const struct crash_cut *cut, char *why, size_t size);

/* Set a mark in the history of the live disk.  0; EINVAL, with a sentence in WHY of SIZE
 * bytes; ENOMEM.
 */
int crash_mark (const char *text, char *why, size_t size);

/* Call a function with each mark, after it is recorded, from any thread; it returns whether
 * marks are of use to anybody, so that they may be set without a history.  Only before the
 * disk is served.
 */
void crash_on_mark (bool (*told) (const char *text));

/* The next event of the history of the live disk.  0; ENOENT: there is none; EINVAL, with
 * a sentence in WHY of SIZE bytes: there is no history.
 */
int crash_history (struct event_place *at, struct event *e, char *why, size_t size);

/* EINVAL: the power is on, or there is no volatile cache. */
int crash_power_on (char *why, size_t size);

#endif /* DISK_CRASH_H */
