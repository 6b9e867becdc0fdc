/* replay.h - a history in a file: saved, and served again.
 *
 * The file has the format of the kernel's dm-log-writes target, so that tools that replay
 * such logs read it: a superblock, then entries in the order in which things happened to a
 * disk that was empty at first, each a sector of 512 bytes and the data that were written.
 * What that format does not hold stands from byte REPLAY_EXTRA of each such sector on, as
 * little-endian numbers of 64 bits.
 *
 *      entry   flags     what it is
 *      write, discard    what a part of a change made of whole sectors
 *      flush   FLUSH     a flush, a cut, or a change without a part
 *      mark    MARK      a mark, whose text stands from byte 32 on; or "fault NAME", a rule
 *                        that has fired
 *
 * Each entry has a digest (lib/digest.h) of itself and its data, by their place in the file.
 *
 * Functions return 0; EINVAL, with a sentence in WHY of SIZE bytes; or an errno code.
 */

#ifndef DISK_REPLAY_H
#define DISK_REPLAY_H

#include <stddef.h>

#include "disk/disk.h"

#define REPLAY_EXTRA 320        /* behind the longest mark */

/* Write the history of the live disk to a file that can seek, which stays the caller's.
 * The disk waits meanwhile.  EINVAL: there is no history, or there was initial content, which
 * the file could not hold.
 */
int replay_save (int fd, char *why, size_t size);

/* Make the live disk that such a file tells of: it holds what it held at the end of the
 * recording, all of it durable, and has that history, which is over.  HOW gets what it does
 * not say: the size of a sector, that of an atomic request, and of histories of states.
 * If it fails, there may be a live disk (disk_stop).
 */
int replay_start (const char *file, struct disk_cache *how, char *why, size_t size);

#endif /* DISK_REPLAY_H */
