/* cache.h - a volatile write cache: what a disk holds, and what a power cut may leave.
 *
 * The disk's content is always the newest; which versions of each sector are volatile,
 * and what they cover, is kept beside it (disk/versions.h).  So a read costs what it
 * costs without a cache, and to flush is to forget.
 *
 * A request is known to the cache from its entry to its completion (disk_enter and
 * disk_leave, in disk.h): a flush covers what was complete when it entered, and takes
 * effect when it is about to succeed.  Whatever changes the disk is applied as a whole,
 * under the one lock of the cache, so the numbers of requests are the order in which
 * they were applied.
 *
 * Any number of threads may use a cache.  Functions that return int return 0 or an
 * errno code, and report nothing.  Only for the files of this folder.
 */

#ifndef DISK_CACHE_H
#define DISK_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "disk/disk.h"
#include "disk/versions.h"
#include "disk/view.h"
#include "lib/digest.h"

struct cache;
struct history;

/* Make a cache for a disk, whose content it changes.  NULL: no memory. */
struct cache *cache_new (struct disk *d, const struct disk_cache *how);
void cache_free (struct cache *c);              /* NULL is allowed */

/* A request enters, or completes with an errno code; returns that, or another one. */
int cache_enter (struct cache *c, struct visit *visit);
int cache_leave (struct cache *c, struct request *req, int err);

/* Apply a request that changes the disk.  ENOMEM: nothing was applied.  ESHUTDOWN: the
 * power was cut since it entered.
 */
int cache_apply (struct cache *c, struct request *req);

/* Change the medium itself, as disk_write and disk_zero: what is written is durable at
 * once, and so is the rest of the sectors that it touches.  ENOMEM: a prefix was written;
 * nothing was zeroed; all other sectors are as they were, and as volatile.
 */
int cache_write (struct cache *c, const void *buf, uint64_t count, uint64_t offset,
                 void *context);
int cache_zero (struct cache *c, uint64_t count, uint64_t offset, void *context);

/* Keep all as it is, and see what is volatile, until cache_unlock. */
struct versions *cache_lock (struct cache *c);
void cache_unlock (struct cache *c);

/* All content is going to be replaced: record it.  It is locked.  ENOMEM, or ENOTSUP: there
 * is initial content, which is not known.
 */
int cache_replace_locked (struct cache *c);

/* It was not replaced: forget that.  It has been locked since. */
void cache_keep_locked (struct cache *c);

/* All that the disk holds is durable.  It is locked. */
void cache_settle_locked (struct cache *c);

/* Prepare a cut: let what these patches say have its place, so that to put it there
 * can't fail.  It is locked, until cache_cut_locked.  ENOMEM: all is as it was.
 */
int cache_prepare_locked (struct cache *c, const struct patches *patches);

/* Record it.  ENOMEM: nothing is. */
int cache_record_cut_locked (struct cache *c, const struct patches *patches);

/* Cut the power: what survives is the content with these patches; nothing is volatile
 * any more, and no request that has entered will succeed.
 */
void cache_cut_locked (struct cache *c, const struct patches *patches);

/* Is the power off?  And bring it back, where the cache is locked; was it off? */
bool cache_is_off (const struct cache *c);
bool cache_power_on (struct cache *c);

/* How many requests were altered by a fault, and succeeded; count more, which the content
 * has from another disk.  What such a request did is no longer told apart.
 */
uint64_t cache_altered (const struct cache *c);
void cache_add_altered (struct cache *c, uint64_t n);

const struct disk_cache *cache_how (const struct cache *c);

/* Its history, which is locked with it, or NULL; and the present in it. */
struct history *cache_history (struct cache *c);
uint64_t cache_now (const struct cache *c);

/* The digest of what the disk holds, where that has not changed since it was set.  False:
 * it is not known.  It is locked.
 */
bool cache_digest (const struct cache *c, struct digest *d);
void cache_set_digest (struct cache *c, const struct digest *d);

/* Set a mark of up to CACHE_MARK bytes in its history, which it has.  ENOMEM. */
#define CACHE_MARK 256
int cache_mark (struct cache *c, const char *text);

/* Put into its history, if it has one, that a rule has fired for a request. */
void cache_note_fault (struct cache *c, const struct request *req, const char *rule);

/* Tell of a mark that is set; returns what TOLD does, or false, if there is none. */
bool cache_tell_mark (const char *text);
void cache_on_mark (bool (*told) (const char *text));

/* Make the history again that a file tells of (disk/replay.h), before the disk is served:
 * find the sectors of a change of which its fields say what it was; do a part of it at its
 * time, BUF being what was written, or NULL: zeroes; and when all is done, go to the end.
 * 0 or an errno code.
 */
struct change;
void cache_replay_change (const struct cache *c, struct change *ch);
int cache_replay (struct cache *c, struct change *ch, uint64_t when, const void *buf,
                  uint64_t count, uint64_t offset);
void cache_replay_end (struct cache *c, uint64_t end);

/* How often the power was cut: a number that grows before the content changes. */
const _Atomic uint64_t *cache_cuts (const struct cache *c);

#endif /* DISK_CACHE_H */
