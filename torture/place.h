/* place.h - where disks are seen: a directory for all that is temporary, the disk of the
 * server as a file, and file systems that are mounted.  What is mounted is seen by this
 * program and its children alone, and goes with them.
 */

#ifndef TORTURE_PLACE_H
#define TORTURE_PLACE_H

#include <stdbool.h>
#include <stddef.h>

/* Make the directory, in memory if that is possible.  MOUNT: can this be done here?  Ends
 * the program, if not.
 */
const char *place_begin (const char *mount);

/* In a worker, which has its own: a directory in it, and mounts that only the worker sees, if
 * it mounts anything.
 */
const char *place_share (unsigned number, const char *mount);

/* Show the server's disk, which has this URI, as a file; and no longer, when all is written. */
const char *place_disk (const char *uri);
void place_no_disk (void);

/* The kinds of file systems.  All but fuse2fs need root. */
bool place_known (const char *type);

/* Can only one of a kind be mounted at a time? */
bool place_alone (const char *type);

/* Commands that make one on "$disk", and say by their status whether that in "$image" is
 * sound.
 */
const char *place_mkfs (const char *type);
const char *place_fsck (const char *type);

/* A command that mends "$image" before it is mounted, where mounting does not; or NULL. */
const char *place_mend (const char *type);

/* Mount a file with a file system, and take it away.  DIRECT: nothing is cached between
 * the two.  False: WHY of SIZE bytes says why not, in the file system's own words.
 */
bool place_mount (const char *type, const char *file, const char *dir, bool direct,
                  char *why, size_t size);
bool place_unmount (const char *dir, char *why, size_t size);

/* Remove a directory and what is in it, and nothing that is mounted there. */
void remove_all (const char *dir);

#endif /* TORTURE_PLACE_H */
