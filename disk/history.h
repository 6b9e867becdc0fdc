/* history.h - what has happened to a disk with a volatile cache, so that the power can be
 * cut at any moment of the past.
 *
 * Time is counted in events, from 1: a request was applied, or completed; a flush
 * returned; the medium was changed; the power was cut; somebody set a mark.  The cache
 * counts them.  A moment is a time: just after that event.
 *
 * The past is kept as what is volatile is (disk/versions.h), but nothing of it is ever
 * forgotten: for each sector all its versions, newest first, with what each covered.  So
 * the content at a moment is what the first later version covered; and which versions
 * were volatile then follows from when their requests completed and when flushes entered
 * and returned (disk/moment.h).
 *
 * When as many bytes as wanted are remembered, the recording ends.  What is changed
 * afterwards is covered once more, by a change that has no moment, because what the disk
 * holds at the end must be kept.
 *
 * Nothing here locks: the lock of the cache is held.  ENOMEM: nothing has changed.  Only
 * for the files of this folder.
 */

#ifndef DISK_HISTORY_H
#define DISK_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "disk/versions.h"
#include "request.h"

enum change_kind {
  CHANGE_REQUEST,
  CHANGE_MEDIUM,                /* durable at once */
  CHANGE_CUT,                   /* what survived it */
  CHANGE_DROP,                  /* a failed flush took versions back */
  CHANGE_LATER,                 /* after the recording has ended */
};

/* What changed the disk.  It does not move. */
struct change {
  struct record record;         /* as the one of the cache, but for PENDING and MARKED, which
                                 * are for disk/replay.c */
  enum change_kind kind;
  uint64_t when;                /* it was applied */
  uint64_t dropped;             /* a flush that failed dropped it; 0: none did */
  uint64_t offset, count;       /* bytes, of a request or of the medium; 0: whole sectors */
  enum op op;                   /* of a request; CHANGE_REQUEST alone has what follows */
  bool wants_fua, failed;
  bool fua;                     /* it was made durable when it completed, */
  bool no_fua;                  /* or an honest disk would have done so */
  bool altered;                 /* by a fault, and acknowledged */
  struct record *shown;         /* for disk/moment.c */
};

/* A flush that succeeded. */
struct flushed {
  uint64_t entered, returned;
  uint64_t conn;
  bool own;                     /* it covers requests of this connection only, */
  bool lie;                     /* or nothing */
  uint64_t covers, owes;        /* requests of all connections completed by then are
                                 * durable by this or an earlier one, or should be */
  size_t others;                /* how many up to here are of one connection */
};

struct mark {
  uint64_t when;
  char *text;
};

/* A rule has fired for a request. */
struct fired_rule {
  uint64_t when;                /* after this event, which it shares with others */
  char *rule;                   /* its name */
  enum op op;
  uint32_t count;
  uint64_t offset, conn;
};

struct history {
  uint64_t limit, bytes;        /* to be remembered, and which are, */
  uint64_t beside;              /* and those of what is no request */
  uint64_t end;                 /* when the recording ended; UINT64_MAX: it goes on */
  bool replayed;                /* it was read from a file (disk/replay.h) */
  bool broken;                  /* there was no memory for what could not fail */
  struct versions past;
  struct change **block;        /* of CHANGE_BLOCK each */
  size_t changes, blocks, block_room;
  struct change later;
  struct flushed *flush;
  size_t flushes, flush_room;
  uint64_t *cut;                /* when */
  size_t cuts, cut_room;
  struct mark *mark;
  size_t marks, mark_room;
  struct fired_rule *fault;
  size_t faults, fault_room;
};

#define CHANGE_BLOCK 512

/* Remember so many bytes of requests.  NULL: no memory. */
struct history *history_new (uint64_t limit, uint32_t sector);
void history_free (struct history *h);                  /* NULL is allowed */

/* Has the recording ended? */
bool history_is_full (const struct history *h);

/* Change number I, in the order of time. */
struct change *history_change (const struct history *h, size_t i);

/* Is it no request, but counts?  (In before-change-K.) */
static inline bool
change_is_other (const struct change *ch)
{
  return ch->kind == CHANGE_MEDIUM || ch->kind == CHANGE_DROP;
}

/* The number of the last request; 0: there is none. */
uint64_t history_requests (const struct history *h);

/* A new change, at this time.  BYTES are its data, for the limit, which may end the
 * recording.  NULL: no memory.
 */
struct change *history_add (struct history *h, enum change_kind kind, uint64_t bytes,
                            uint64_t now);

/* Take back the last change, which has no version. */
void history_withdraw (struct history *h, const struct change *ch);

/* Sectors get a version of a change, with what it covers (of which this takes references
 * of its own).  ENOMEM: some of them have.
 */
int history_push (struct history *h, struct change *ch, uint64_t first, uint64_t end,
                  const struct version *made);

/* Take back the newest version of these sectors, where it is of this change. */
void history_pop (struct history *h, struct change *ch, uint64_t first, uint64_t end);

/* What needs a history, and there is none. */
#define HISTORY_WANTED \
  "%s needs a history: start the server with write-cache=volatile history=1G"

/* What must be recorded could not be: nothing of it can be told any more. */
#define HISTORY_BROKEN "the history is lost, because there was no memory to record a change"
void history_break (struct history *h);

/* What is no request may take as many bytes again, and this.  Then the recording ends, too:
 * it has to, where only flushes, marks and rules that fire follow.
 */
#define HISTORY_BESIDE (UINT64_C (1) << 20)

/* A flush has succeeded.  ENOMEM. */
int history_flush (struct history *h, const struct flushed *f);

/* How many flushes had returned, at this time. */
size_t history_flushes (const struct history *h, uint64_t when);

/* The power was cut; somebody has set a mark.  ENOMEM. */
int history_cut (struct history *h, uint64_t now);
int history_mark (struct history *h, const char *text, uint64_t now);

/* A rule has fired: F, whose time and name are copied.  ENOMEM. */
int history_fault (struct history *h, const struct fired_rule *f);

/* What happened, for who goes through it. */
enum event_kind {
  EVENT_REQUEST, EVENT_FLUSH, EVENT_MARK, EVENT_CUT, EVENT_CHANGE, EVENT_FAULT
};
struct event {
  enum event_kind kind;
  uint64_t when;                /* applied, or returned, or set, or cut */
  uint64_t number;              /* of this kind, from 1 */
  struct change change;         /* a copy: a request, or a change of the medium, or a drop */
  struct flushed flush;
  struct fired_rule fault;      /* its rule is in TEXT */
  char text[257];               /* of a mark, or the beginning of the name of a rule */
};

/* How far somebody has come.  All 0 at first. */
struct event_place { size_t change, others, flush, mark, cut, fault; };

/* The next event in the order of time.  False: there is none. */
bool history_next (const struct history *h, struct event_place *at, struct event *e);

#endif /* DISK_HISTORY_H */
