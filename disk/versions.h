/* versions.h - what is volatile: the versions of each sector that are not durable.
 *
 * A sector has the content that is durable, D, and the versions that were written
 * since, V, oldest first (NVMe: the volatile write cache).  The newest of all is what
 * the disk holds; each version keeps what it covered.  So what comes before the
 * version of number I is what the version of number I + 1 covered, and D is what the
 * oldest one covered:
 *
 *      covered by #1   covered by #2   covered by #3   the disk
 *           D               #1              #2            #3
 *
 * To make a version durable is to forget it and the older ones: no data moves.
 *
 * Sectors that lie side by side and have the same requests in V make a segment:
 *
 *      segment 8..15            segment 16..23
 *      newest -> #7 -> #3       newest -> #7
 *
 * Segments do not overlap, and are found by a skip list, in ascending order; or, where a
 * request begins where one before it began, by a hash, which is faster.  A request that
 * covers a part of one splits it.
 *
 * Nothing here locks, or knows where the disk's content is.  Places are sectors.
 */

#ifndef DISK_VERSIONS_H
#define DISK_VERSIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/blocks.h"

/* The most data that one version covers. */
#define VERSION_BYTES 65536

/* What was covered.  Several may share it; it never changes.  A copy between whole lines
 * of the processor's cache takes half the time.
 */
#define COVERED_LINE 64
struct covered {
  _Atomic unsigned refs;
  uint32_t size;                /* bytes */
  _Alignas (COVERED_LINE) unsigned char data[];
};

/* A request that has changed the disk. */
struct record {
  struct record *next, *prev;   /* in the order of their numbers */
  struct record *sibling;       /* of one request that was performed more than once */
  uint64_t number;              /* from 1, in the order in which they were applied */
  uint64_t first, sectors;      /* what the request covers, as a whole */
  uint64_t conn;
  uint64_t done;                /* when it completed, in events; 0: it is in flight */
  uint64_t pending;             /* sectors in which it has a version */
  struct change *change;        /* its entry in the history, or NULL */
  bool atomic;                  /* all its sectors survive, or none */
  bool marked;                  /* for who works on all of them */
};

/* The version that a request made of the sectors of a segment. */
struct version {
  uint64_t when;                /* it was made, in events; for disk/history.c */
  struct version *below;        /* the next older one */
  struct record *record;
  struct covered *covered;      /* NULL: zeroes */
  uint32_t at;                  /* from this byte of COVERED on */
  bool zero;                    /* the version itself is all zeroes */
  bool owed;                    /* an honest disk would have it, or a later one, as D */
};

#define VERSIONS_HEIGHT 24

#define SPARE_COVERED 4096      /* bytes: what most requests cover */

struct segment {
  uint64_t start, end;          /* sectors, START <= s < END */
  struct version *newest;       /* not NULL */
  uint64_t base;                /* for disk/choice.c */
  struct segment *same;         /* the next one with the same hash */
  unsigned height;
  struct segment *next[];
};

struct versions {
  uint32_t sector;              /* bytes */
  unsigned height;
  uint64_t random;
  struct segment *head[VERSIONS_HEIGHT];
  struct segment **hash;        /* finds one by its start */
  size_t slots, segments;       /* of the hash, a power of two; and how many there are */
  struct record *first, *last;  /* all that are pending, or in flight */
  uint64_t last_number;
  uint64_t pending;             /* requests that have a version */
  uint64_t sectors;             /* that have one */
  struct { struct spare records, nodes, segments, covered; } spare;
  struct blocks blocks;
};

/* No version at first.  False: no memory. */
bool versions_init (struct versions *v, uint32_t sector);

/* Forget all.  Records in flight, which their requests still know, stay allocated,
 * and are no longer in the list: to be freed with free.
 */
void versions_clear (struct versions *v);

/* The same, and give back all memory. */
void versions_free (struct versions *v);

/* Room for what is covered.  NULL: no memory. */
struct covered *versions_cover (struct versions *v, uint32_t size);

struct covered *covered_new (uint32_t size);
struct covered *covered_get (struct covered *c);       /* NULL is allowed here, */
void covered_put (struct covered *c);                  /* and here */

/* A new record, the newest, in flight; its number is the next one.  NULL: no memory. */
struct record *versions_record (struct versions *v, uint64_t first, uint64_t sectors,
                                uint64_t conn);

/* The request of a record has completed, or has no version and never had: it goes
 * when the last of its versions does.
 */
void versions_complete (struct versions *v, struct record *r, uint64_t when);

/* Take back a record that has no version, and its number if it is the last one. */
void versions_withdraw (struct versions *v, struct record *r);

/* The first segment that reaches beyond a sector, or NULL; and the one after it. */
struct segment *versions_find (const struct versions *v, uint64_t sector);
struct segment *versions_next (const struct segment *s);

/* All segments in ascending order, as an array from malloc.  NULL: no memory. */
struct segment **versions_list (const struct versions *v);

/* How many of the sectors FIRST <= s < END are alike: of one segment, which is put
 * into *S, or of none (NULL).
 */
uint64_t versions_run (const struct versions *v, uint64_t first, uint64_t end,
                       struct segment **s);

/* Make a sector the start of a segment if it lies inside of one.  ENOMEM: all is as it
 * was.
 */
int versions_split (struct versions *v, uint64_t sector);

/* Give sectors that are alike, and for which versions_run has just found S, a new version,
 * as MADE: its RECORD, what it covers, whose reference it takes over, and what else it
 * says.  ENOMEM: there is no new version.
 */
int versions_push (struct versions *v, struct segment *s, uint64_t first, uint64_t end,
                   const struct version *made);

/* Give sectors that have none all their versions, newest first, each from versions_node.
 * ENOMEM: they are as they were, and the versions are the caller's.
 */
int versions_chain (struct versions *v, uint64_t first, uint64_t end,
                    struct version *newest);

/* A version that is a copy of another, with a reference of its own.  NULL: no memory. */
struct version *versions_node (struct versions *v, const struct version *made);

/* Free the versions from this one on, which no segment has. */
void versions_node_free (struct versions *v, struct version *newest);

/* Take back the newest version of each segment among these sectors that is of R, in
 * ascending order: BACK gets it first, to put back what it covered (NULL: nothing is to
 * be).
 */
void versions_pop (struct versions *v, const struct record *r, uint64_t first,
                   uint64_t end,
                   void (*back) (void *context, const struct segment *s,
                                 const struct version *newest),
                   void *context);

/* Forget a segment, whose records are the caller's. */
void versions_take (struct versions *v, struct segment *s);

/* Which requests. */
typedef bool (*version_test) (const struct record *r, const void *context);

/* In each segment among these sectors, make the newest version that passes durable. */
void versions_settle (struct versions *v, uint64_t first, uint64_t end,
                      version_test test, const void *context);

/* And note that an honest disk would have done so. */
void versions_owe (struct versions *v, uint64_t first, uint64_t end, version_test test,
                   const void *context);

/* Drop all versions that pass, so that what they covered shows. */
void versions_drop (struct versions *v, version_test test, const void *context);

/* Where that will include the newest one, EACH gets what will show (COVERED as in struct
 * version), in ascending order.  0, or what EACH returned first that is not.
 */
int versions_uncovered (const struct versions *v, version_test test, const void *context,
                        int (*each) (void *context, const struct segment *s,
                                     struct covered *covered, uint32_t at),
                        void *each_context);

#endif /* DISK_VERSIONS_H */
