/* replay.c - a history in a file.
 *
 *     blocks    entries, as they stand in the file
 *     collect   all that has happened, in its order
 *     save      write it
 *     load      do it again
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk/cache.h"
#include "disk/content.h"
#include "disk/history.h"
#include "disk/inside.h"
#include "disk/replay.h"
#include "lib/array.h"
#include "lib/digest.h"
#include "lib/min.h"

/*--------------------------------------------------------------------*/
/* Blocks. */

#define BLOCK 512
#define LOG_MAGIC UINT64_C (0x6a736677736872)
#define LOG_VERSION 1
#define LOG_FLUSH 1
#define LOG_FUA 2
#define LOG_DISCARD 4
#define LOG_MARK 8
#define LOG_TEXT 32             /* where the text of a mark begins */

#define OUR_MAGIC UINT64_C (0x31545349484d454d)        /* MEMHIST1 */

#define FAULT_MARK "fault "      /* so begins what stands for a rule that has fired */

#define MOST_DATA (UINT64_C (1) << 20)          /* of an entry, in bytes */
#define MOST_DISCARD (UINT64_C (64) << 20)      /* replaying tools skip more */

/* What the format has: of the superblock, and of an entry. */
enum { SUPER_MAGIC, SUPER_VERSION, SUPER_ENTRIES, SUPER_SECTOR };
enum { LOG_SECTOR, LOG_SECTORS, LOG_FLAGS, LOG_LENGTH, LOG_FIELDS };

/* What it has not: of the superblock, and of an entry. */
enum { OUR_NAME, DISK_SIZE, DISK_SECTOR, DISK_ATOMIC, DISK_HISTORY, DISK_END };
enum {
  KIND, WHEN,
  CHANGE, CHANGE_IS,            /* its number from 1 on, and its kind */
  NUMBER, OP, OFFSET, COUNT, CONN, DONE, DROPPED, BITS,
  ENTERED,                      /* of a flush */
  DIGEST_HIGH = 22, DIGEST_LOW, FIELDS
};

enum { KIND_CHANGE = 1, KIND_FLUSH, KIND_CUT, KIND_MARK, KIND_FAULT };
enum {
  BIT_WANTS_FUA = 1, BIT_FAILED = 2, BIT_FUA = 4, BIT_NO_FUA = 8, BIT_ALTERED = 16,
  BIT_OWN = 32, BIT_LIE = 64
};

struct block {
  uint64_t log[LOG_FIELDS];
  uint64_t is[FIELDS];
  char mark[CACHE_MARK + 1];
};

static void
put_numbers (unsigned char *to, const uint64_t *from, size_t n)
{
  for (size_t i = 0; i < n * 8; i++)
    to[i] = (unsigned char) (from[i / 8] >> i % 8 * 8);
}

static void
get_numbers (uint64_t *to, const unsigned char *from, size_t n)
{
  memset (to, 0, n * 8);
  for (size_t i = 0; i < n * 8; i++)
    to[i / 8] |= (uint64_t) from[i] << i % 8 * 8;
}

static void
pack (const struct block *b, unsigned char bytes[BLOCK])
{
  memset (bytes, 0, BLOCK);
  put_numbers (bytes, b->log, LOG_FIELDS);
  memcpy (bytes + LOG_TEXT, b->mark, strlen (b->mark));
  put_numbers (bytes + REPLAY_EXTRA, b->is, FIELDS);
}

static void
unpack (struct block *b, const unsigned char bytes[BLOCK])
{
  get_numbers (b->log, bytes, LOG_FIELDS);
  get_numbers (b->is, bytes + REPLAY_EXTRA, FIELDS);
  memcpy (b->mark, bytes + LOG_TEXT, CACHE_MARK);
  b->mark[CACHE_MARK] = '\0';
}

#define DIGEST_AT (REPLAY_EXTRA + DIGEST_HIGH * 8)

/* The digest of a block in place PLACE of the file (in blocks), but for the digest in it,
 * and of its data.
 */
static struct digest
digest_of (const unsigned char bytes[BLOCK], const void *data, uint64_t count,
           uint64_t place)
{
  struct digest d = { 0, 0 };
  unsigned char bare[BLOCK];

  memcpy (bare, bytes, BLOCK);
  memset (bare + DIGEST_AT, 0, 16);
  digest_add (&d, bare, BLOCK, place * BLOCK);
  digest_add (&d, data, count, (place + 1) * BLOCK);
  return d;
}

/*--------------------------------------------------------------------*/
/* Collect. */

/* What happened.  Of what happened at the same time, the cut comes last. */
enum item_kind { ITEM_PART, ITEM_CHANGE, ITEM_FLUSH, ITEM_MARK, ITEM_FAULT, ITEM_CUT };
struct item {
  uint64_t when;
  enum item_kind kind;
  const void *what;             /* a change, flush, mark or fault */
  const struct segment *where;  /* of a part, */
  struct covered *content;      /* which made this of it (NULL: zeroes), */
  uint32_t at;
  bool on_disk;                 /* or what the disk holds now */
};

struct saving {
  struct disk *disk;
  struct history *history;
  uint32_t sector;              /* bytes */
  uint64_t end;                 /* of the recording */
  struct item *item;
  size_t n, room;
  FILE *file;
  uint64_t place, entries;      /* blocks, and entries, that were written */
  struct block now;             /* an entry to which more may be added, */
  unsigned char *data;          /* with its data */
  uint64_t count;               /* bytes of it; 0: there is none */
};

static int
add_item (struct saving *s, const struct item *item)
{
  if (!array_grow (&s->item, s->n, &s->room, sizeof *item))
    return ENOMEM;
  s->item[s->n++] = *item;
  return 0;
}

/* The versions of a segment, each of which made what the next newer one covers.  A part of
 * a recorded request may have come after the end.
 */
static int
collect_segment (struct saving *s, const struct segment *where)
{
  const struct version *above = NULL;
  int err = 0;

  for (const struct version *x = where->newest; x && !err; above = x, x = x->below) {
    struct change *ch = (struct change *) x->record;
    const struct item item = {
      .when = x->when, .kind = ITEM_PART, .what = ch, .where = where, .on_disk = !above,
      .content = above ? above->covered : NULL, .at = above ? above->at : 0,
    };

    if (x->when > s->end)
      continue;
    ch->record.marked = true;
    err = add_item (s, &item);
  }
  return err;
}

static int
collect_changes (struct saving *s)
{
  const struct history *h = s->history;
  int err = 0;

  for (size_t i = 0; i < h->changes; i++) {
    history_change (h, i)->record.pending = i + 1;
    history_change (h, i)->record.marked = false;
  }
  for (const struct segment *where = versions_find (&h->past, 0); where && !err;
       where = versions_next (where))
    err = collect_segment (s, where);
  for (size_t i = 0; i < h->changes && !err; i++) {
    const struct change *ch = history_change (h, i);

    if (!ch->record.marked)
      err = add_item (s, &(struct item) { .when = ch->when, .kind = ITEM_CHANGE, .what = ch });
  }
  return err;
}

static int
compare_items (const void *a, const void *b)
{
  const struct item *x = a, *y = b;

  if (x->when != y->when)
    return x->when < y->when ? -1 : 1;
  if (x->kind != y->kind)
    return x->kind < y->kind ? -1 : 1;
  if (x->kind == ITEM_FAULT)    /* of the same array, in order */
    return x->what < y->what ? -1 : x->what > y->what;
  if (!x->where || x->where->start == y->where->start)
    return 0;
  return x->where->start < y->where->start ? -1 : 1;
}

static int
collect (struct saving *s)
{
  const struct history *h = s->history;
  int err = collect_changes (s);

  for (size_t i = 0; i < h->flushes && !err; i++)
    err = add_item (s, &(struct item) { .when = h->flush[i].returned, .kind = ITEM_FLUSH,
                                        .what = &h->flush[i] });
  for (size_t i = 0; i < h->marks && !err; i++)
    err = add_item (s, &(struct item) { .when = h->mark[i].when, .kind = ITEM_MARK,
                                        .what = &h->mark[i] });
  for (size_t i = 0; i < h->faults && !err; i++)
    err = add_item (s, &(struct item) { .when = h->fault[i].when, .kind = ITEM_FAULT,
                                        .what = &h->fault[i] });
  for (size_t i = 0; i < h->cuts && !err; i++)
    err = add_item (s, &(struct item) { .when = h->cut[i], .kind = ITEM_CUT });
  if (!err && s->n > 0)
    qsort (s->item, s->n, sizeof *s->item, compare_items);
  return err;
}

/*--------------------------------------------------------------------*/
/* Save. */

static int
put_block (struct saving *s, const struct block *b, const void *data, uint64_t count)
{
  static const unsigned char zeroes[BLOCK];
  const uint64_t rest = -count % BLOCK;
  unsigned char bytes[BLOCK];
  struct digest d;

  pack (b, bytes);
  d = digest_of (bytes, data, count, s->place);
  put_numbers (bytes + DIGEST_AT, (uint64_t[]) { d.high, d.low }, 2);
  if (fwrite (bytes, BLOCK, 1, s->file) != 1
      || (count > 0 && fwrite (data, count, 1, s->file) != 1)
      || (rest > 0 && fwrite (zeroes, rest, 1, s->file) != 1))
    return errno;
  s->place += 1 + (count + rest) / BLOCK;
  s->entries++;
  return 0;
}

/* Write the entry to which more might have been added. */
static int
put_now (struct saving *s)
{
  const bool discard = s->now.log[LOG_FLAGS] & LOG_DISCARD;
  const uint64_t count = s->count;

  s->count = 0;
  if (count == 0)
    return 0;
  s->now.log[LOG_SECTORS] = (count + BLOCK - 1) / BLOCK;
  return put_block (s, &s->now, s->data, discard ? 0 : count);
}

static int
put_entry (struct saving *s, const struct block *b)
{
  const int err = put_now (s);

  return err ? err : put_block (s, b, NULL, 0);
}

/* Is this the same entry, which goes on at OFFSET? */
static bool
is_same_entry (const struct saving *s, const struct block *b, uint64_t count, uint64_t offset)
{
  const uint64_t most = b->log[LOG_FLAGS] & LOG_DISCARD ? MOST_DISCARD : MOST_DATA;

  return s->count > 0 && s->now.log[LOG_FLAGS] == b->log[LOG_FLAGS]
    && memcmp (s->now.is, b->is, sizeof b->is) == 0
    && s->now.log[LOG_SECTOR] * BLOCK + s->count == offset && s->count + count <= most;
}

/* Does the entry zero or trim, and are these the zeroes? */
static bool
is_zeroed (const struct block *b, const unsigned char *data, uint64_t count)
{
  return b->is[CHANGE_IS] == CHANGE_REQUEST && b->is[OP] != OP_WRITE && data[0] == 0
    && memcmp (data, data + 1, count - 1) == 0;
}

/* Add a range, which is of the entry B, with DATA, or NULL: zeroes. */
static int
put_range (struct saving *s, const struct block *b, const void *data, uint64_t count,
           uint64_t offset)
{
  struct block entry = *b;
  int err = 0;

  data = data && is_zeroed (b, data, count) ? NULL : data;
  if (!data)
    entry.log[LOG_FLAGS] |= LOG_DISCARD;
  for (uint64_t n; count > 0 && !err; count -= n, offset += n) {
    n = data ? count : min_u64 (count, MOST_DISCARD);
    if (!is_same_entry (s, &entry, n, offset)) {
      err = put_now (s);
      s->now = entry;
      s->now.log[LOG_SECTOR] = offset / BLOCK;
    }
    if (data)
      memcpy (s->data + s->count, data, n);
    s->count += n;
  }
  return err;
}

/* What the disk holds in a range. */
static int
put_disk (struct saving *s, const struct block *b, uint64_t count, uint64_t offset)
{
  unsigned char *buf = s->data + MOST_DATA;
  bool data;
  int err = 0;

  for (uint64_t n; count > 0 && !err; count -= n, offset += n) {
    n = content_units (s->disk, count, offset, BLOCK, &data);
    if (data)
      err = content_read (s->disk, buf, n, offset, NULL);
    if (!err)
      err = put_range (s, b, data ? buf : NULL, n, offset);
  }
  return err;
}

static struct block
change_block (const struct change *ch, uint64_t when)
{
  return (struct block) { .is = {
    [KIND] = KIND_CHANGE, [WHEN] = when, [CHANGE] = ch->record.pending,
    [CHANGE_IS] = ch->kind, [NUMBER] = ch->record.number, [OP] = ch->op,
    [OFFSET] = ch->offset, [COUNT] = ch->count, [CONN] = ch->record.conn,
    [DONE] = ch->record.done, [DROPPED] = ch->dropped,
    [BITS] = (ch->wants_fua ? BIT_WANTS_FUA : 0) | (ch->failed ? BIT_FAILED : 0)
             | (ch->fua ? BIT_FUA : 0) | (ch->no_fua ? BIT_NO_FUA : 0)
             | (ch->altered ? BIT_ALTERED : 0),
  } };
}

/* Of a request or the medium, only what it touched, for those who serve the file with other
 * sectors.
 */
static void
clip (const struct change *ch, uint64_t *start, uint64_t *end)
{
  const uint64_t first = ch->offset / BLOCK * BLOCK;
  const uint64_t last = (ch->offset + ch->count + BLOCK - 1) / BLOCK * BLOCK;

  if (ch->count == 0 || first >= *end || last <= *start)
    return;
  *start = first > *start ? first : *start;
  *end = min_u64 (*end, last);
}

static int
put_part (struct saving *s, const struct item *item)
{
  const struct change *ch = item->what;
  const uint64_t begin = item->where->start * s->sector;
  uint64_t start = begin, end = min_u64 (item->where->end * s->sector, disk_size (s->disk));
  struct block b = change_block (ch, item->when);

  clip (ch, &start, &end);
  if (ch->fua)
    b.log[LOG_FLAGS] = LOG_FUA;
  if (item->on_disk)
    return put_disk (s, &b, end - start, start);
  return put_range (s, &b, !item->content ? NULL
                    : item->content->data + item->at + (start - begin), end - start, start);
}

static int
put_flush (struct saving *s, const struct flushed *f)
{
  struct block b = {
    .log = { [LOG_FLAGS] = LOG_FLUSH },
    .is = { [KIND] = KIND_FLUSH, [WHEN] = f->returned, [CONN] = f->conn,
            [ENTERED] = f->entered,
            [BITS] = (f->own ? BIT_OWN : 0) | (f->lie ? BIT_LIE : 0) },
  };

  return put_entry (s, &b);
}

static int
put_mark (struct saving *s, const struct mark *m)
{
  struct block b = {
    .log = { [LOG_FLAGS] = LOG_MARK, [LOG_LENGTH] = strlen (m->text) },
    .is = { [KIND] = KIND_MARK, [WHEN] = m->when },
  };

  snprintf (b.mark, sizeof b.mark, "%s", m->text);
  return put_entry (s, &b);
}

/* A mark, for tools that replay such logs. */
static int
put_fault (struct saving *s, const struct fired_rule *f)
{
  struct block b = {
    .log = { [LOG_FLAGS] = LOG_MARK },
    .is = { [KIND] = KIND_FAULT, [WHEN] = f->when, [OP] = f->op, [OFFSET] = f->offset,
            [COUNT] = f->count, [CONN] = f->conn },
  };

  snprintf (b.mark, sizeof b.mark, FAULT_MARK "%s", f->rule);
  b.log[LOG_LENGTH] = strlen (b.mark);
  return put_entry (s, &b);
}

static int
put_item (struct saving *s, const struct item *item)
{
  struct block b;

  switch (item->kind) {
  case ITEM_PART:
    return put_part (s, item);
  case ITEM_FLUSH:
    return put_flush (s, item->what);
  case ITEM_MARK:
    return put_mark (s, item->what);
  case ITEM_FAULT:
    return put_fault (s, item->what);
  case ITEM_CHANGE:
    b = change_block (item->what, item->when);
    break;
  default:
    b = (struct block) { .is = { [KIND] = KIND_CUT, [WHEN] = item->when } };
  }
  b.log[LOG_FLAGS] = LOG_FLUSH; /* an entry without data */
  return put_entry (s, &b);
}

/* The superblock, which says how many entries there are. */
static int
put_super (struct saving *s)
{
  const struct disk_cache *how = cache_how (s->disk->cache);
  struct block b = {
    .log = { [SUPER_MAGIC] = LOG_MAGIC, [SUPER_VERSION] = LOG_VERSION,
             [SUPER_ENTRIES] = s->entries, [SUPER_SECTOR] = BLOCK },
    .is = { [OUR_NAME] = OUR_MAGIC, [DISK_SIZE] = disk_size (s->disk),
            [DISK_SECTOR] = how->sector, [DISK_ATOMIC] = how->atomic,
            [DISK_HISTORY] = how->history, [DISK_END] = s->end },
  };

  if (fseek (s->file, 0, SEEK_SET) != 0)
    return errno;
  s->place = 0;
  return put_block (s, &b, NULL, 0);
}

static int
save_all (struct saving *s)
{
  int err = collect (s);

  if (!err && fseek (s->file, BLOCK, SEEK_SET) != 0)
    err = errno;
  s->place = 1;
  for (size_t i = 0; i < s->n && !err; i++)
    err = put_item (s, &s->item[i]);
  if (!err)
    err = put_now (s);
  if (!err)
    err = put_super (s);
  return !err && fflush (s->file) != 0 ? errno : err;
}

static int
save_locked (struct saving *s, char *why, size_t size)
{
  if (s->history->broken) {
    snprintf (why, size, "%s", HISTORY_BROKEN);
    return EINVAL;
  }
  if (s->disk->fill) {          /* even if all of it was written over since */
    snprintf (why, size, "the file can't hold the initial content of on.fill: write what "
              "the disk holds at first with disk:write or disk:load instead");
    return EINVAL;
  }
  s->end = min_u64 (s->history->end, cache_now (s->disk->cache));
  return save_all (s);
}

int
replay_save (int fd, char *why, size_t size)
{
  struct disk *d = disk_live ();
  struct saving s = { .disk = d };
  int err = 0;

  s.history = d->cache ? cache_history (d->cache) : NULL;
  if (!s.history) {
    snprintf (why, size, HISTORY_WANTED, "disk:save_history");
    return EINVAL;
  }
  s.sector = cache_how (d->cache)->sector;
  s.data = malloc (MOST_DATA + VERSION_BYTES);
  fd = dup (fd);
  s.file = fd == -1 ? NULL : fdopen (fd, "wb");
  if (!s.file || !s.data)
    err = s.file ? ENOMEM : errno;
  if (!err) {
    cache_lock (d->cache);
    err = save_locked (&s, why, size);
    cache_unlock (d->cache);
  }
  if (s.file)
    fclose (s.file);            /* all of it was written */
  else if (fd != -1)
    close (fd);
  free (s.item);
  free (s.data);
  return err;
}

/*--------------------------------------------------------------------*/
/* Load. */

struct loading {
  const char *name;
  FILE *file;
  struct disk *disk;
  struct history *history;
  uint64_t place, entry, entries;
  uint64_t when, end;           /* of the last entry; of the recording */
  uint64_t sector;              /* bytes, when it was recorded */
  unsigned char bytes[BLOCK];   /* the entry, */
  struct block now;             /* taken apart, */
  unsigned char *data;          /* with its data */
  uint64_t count;               /* bytes of it */
  char *why;
  size_t size;
};

/* What is wrong with the file. */
static int
bad_file (const struct loading *l, const char *what)
{
  snprintf (l->why, l->size, "%.300s: %s", l->name, what);
  return EINVAL;
}

static int
bad_entry (const struct loading *l, const char *what)
{
  snprintf (l->why, l->size, "%.300s: %s at entry %" PRIu64 " of %" PRIu64, l->name, what,
            l->entry, l->entries);
  return EINVAL;
}

/* Read a block.  ENODATA: the file has ended. */
static int
get_block (struct loading *l)
{
  errno = 0;
  if (fread (l->bytes, BLOCK, 1, l->file) != 1)
    return ferror (l->file) && errno ? errno : ENODATA;
  unpack (&l->now, l->bytes);
  return 0;
}

/* Is it as it was written? */
static bool
is_right (const struct loading *l)
{
  const struct digest d = digest_of (l->bytes, l->data, l->count, l->place);

  return l->now.is[DIGEST_HIGH] == d.high && l->now.is[DIGEST_LOW] == d.low;
}

static int
get_entry (struct loading *l)
{
  const uint64_t *log = l->now.log;
  int err = get_block (l);

  if (err)
    return err == ENODATA ? bad_entry (l, "it is cut off") : err;
  l->count = 0;
  if (!(log[LOG_FLAGS] & (LOG_DISCARD | LOG_MARK | LOG_FLUSH))) {
    if (log[LOG_SECTORS] == 0 || log[LOG_SECTORS] > MOST_DATA / BLOCK)
      return bad_entry (l, "it is damaged");
    l->count = log[LOG_SECTORS] * BLOCK;
    if (fread (l->data, l->count, 1, l->file) != 1)
      return bad_entry (l, "it is cut off");
  }
  if (!is_right (l) || l->now.is[WHEN] < l->when || l->now.is[WHEN] > l->end)
    return bad_entry (l, "it is damaged");
  l->place += 1 + l->count / BLOCK;
  l->when = l->now.is[WHEN];
  return 0;
}

/* The range that the entry covers.  False: the disk has it not. */
static bool
get_range (const struct loading *l, uint64_t *count, uint64_t *offset)
{
  const uint64_t sector = l->now.log[LOG_SECTOR], sectors = l->now.log[LOG_SECTORS];
  const uint64_t size = disk_size (l->disk), all = size / BLOCK + (size % BLOCK != 0);

  if (sector > all || sectors > all - sector)
    return false;
  *offset = sector * BLOCK;
  *count = min_u64 (sectors * BLOCK, size - *offset);
  return true;
}

/* Can there be a new change such as the entry says? */
static bool
is_new_change (const struct loading *l)
{
  const uint64_t *is = l->now.is, size = disk_size (l->disk);
  const struct history *h = l->history;

  return is[CHANGE] == h->changes + 1 && is[CHANGE_IS] < CHANGE_LATER
    && is[NUMBER] == history_requests (h) + (is[CHANGE_IS] == CHANGE_REQUEST)
    && is[OP] < OP_COUNT && is[OFFSET] <= size && is[COUNT] <= size - is[OFFSET];
}

/* Make it.  NULL: no memory. */
static struct change *
new_change (const struct loading *l)
{
  const uint64_t *is = l->now.is;
  struct change *ch = history_add (l->history, (enum change_kind) is[CHANGE_IS], 0,
                                   is[WHEN]);

  if (!ch)
    return NULL;
  ch->record.number = is[NUMBER];
  ch->record.conn = is[CONN];
  ch->record.done = is[DONE];
  ch->dropped = is[DROPPED];
  ch->op = (enum op) is[OP];
  ch->offset = is[OFFSET];
  ch->count = is[COUNT];
  ch->wants_fua = is[BITS] & BIT_WANTS_FUA;
  ch->failed = is[BITS] & BIT_FAILED;
  ch->fua = is[BITS] & BIT_FUA;
  ch->no_fua = is[BITS] & BIT_NO_FUA;
  ch->altered = is[BITS] & BIT_ALTERED;
  cache_replay_change (l->disk->cache, ch);
  return ch;
}

/* Find the change of which the entry is a part.  What a failed flush took back is whole
 * sectors, of which later writes to other parts of a larger one would have kept the rest.
 */
static int
get_change (const struct loading *l, struct change **ch)
{
  const uint64_t *is = l->now.is;

  if (is[CHANGE_IS] == CHANGE_DROP && l->sector != cache_how (l->disk->cache)->sector)
    return bad_file (l, "a flush that failed has lost whole sectors: leave sector= out");
  if (is_new_change (l)) {
    *ch = new_change (l);
    return *ch ? 0 : ENOMEM;
  }
  if (is[CHANGE] == 0 || is[CHANGE] > l->history->changes)
    return bad_entry (l, "it is damaged");
  *ch = history_change (l->history, is[CHANGE] - 1);
  return (*ch)->kind == (enum change_kind) is[CHANGE_IS] ? 0 : bad_entry (l, "it is damaged");
}

static int
do_change (const struct loading *l)
{
  const bool zero = l->now.log[LOG_FLAGS] & LOG_DISCARD;
  struct change *ch;
  uint64_t count, offset;
  int err = get_change (l, &ch);

  if (err || l->now.log[LOG_FLAGS] & LOG_FLUSH)
    return err;
  if (!get_range (l, &count, &offset))
    return bad_entry (l, "it is damaged");
  return cache_replay (l->disk->cache, ch, l->when, zero ? NULL : l->data, count, offset);
}

static int
do_flush (const struct loading *l)
{
  const uint64_t *is = l->now.is;
  const struct flushed f = {
    .entered = is[ENTERED], .returned = is[WHEN], .conn = is[CONN],
    .own = is[BITS] & BIT_OWN, .lie = is[BITS] & BIT_LIE,
  };

  return history_flush (l->history, &f);
}

static int
do_fault (struct loading *l)
{
  const uint64_t *is = l->now.is;
  const size_t len = strlen (FAULT_MARK);

  if (is[OP] >= OP_COUNT || strncmp (l->now.mark, FAULT_MARK, len) != 0)
    return bad_entry (l, "it is damaged");
  return history_fault (l->history, &(struct fired_rule) {
    .when = l->when, .rule = l->now.mark + len, .op = (enum op) is[OP],
    .offset = is[OFFSET], .count = (uint32_t) is[COUNT], .conn = is[CONN],
  });
}

static int
do_entry (struct loading *l)
{
  switch (l->now.is[KIND]) {
  case KIND_CHANGE:
    return do_change (l);
  case KIND_FLUSH:
    return do_flush (l);
  case KIND_MARK:
    return history_mark (l->history, l->now.mark, l->when);
  case KIND_FAULT:
    return do_fault (l);
  case KIND_CUT:
    return history_cut (l->history, l->when);
  }
  return bad_entry (l, "it is damaged");
}

/* The superblock. */
static int
get_super (struct loading *l)
{
  const uint64_t *log = l->now.log, *is = l->now.is;
  const int err = get_block (l);

  if (err && err != ENODATA)
    return err;
  if (err || log[SUPER_MAGIC] != LOG_MAGIC)
    return bad_file (l, "is no history (disk:save_history makes one)");
  if (is[OUR_NAME] != OUR_MAGIC || log[SUPER_VERSION] != LOG_VERSION)
    return bad_file (l, "is a log of dm-log-writes, or a history of another version: "
                     "expected one that disk:save_history of this version has made");
  if (!is_right (l) || is[DISK_SIZE] > INT64_MAX
      || (is[DISK_SECTOR] != 512 && is[DISK_SECTOR] != 4096))
    return bad_file (l, "is damaged at its beginning");
  l->entries = log[SUPER_ENTRIES];
  l->end = is[DISK_END];
  l->sector = is[DISK_SECTOR];
  l->place = 1;
  return 0;
}

/* What the command line does not say, the file does. */
static int
choose (const struct loading *l, struct disk_cache *how)
{
  const uint64_t *is = l->now.is;

  if (!how->sector)
    how->sector = (uint32_t) is[DISK_SECTOR];
  if (how->atomic && how->atomic < how->sector)
    return bad_file (l, "atomic= is less than a sector, which has 4096 bytes");
  if (!how->atomic && is[DISK_ATOMIC] >= how->sector)
    how->atomic = is[DISK_ATOMIC];
  how->history = is[DISK_HISTORY];
  return 0;
}

static int
load_all (struct loading *l, struct disk_cache *how)
{
  int err = get_super (l);

  if (!err)
    err = choose (l, how);
  if (!err)
    err = disk_start (l->now.is[DISK_SIZE]);
  if (!err)
    err = disk_set_cache (disk_live (), how);
  if (err)
    return err;
  l->disk = disk_live ();
  l->history = cache_history (l->disk->cache);
  l->history->limit = UINT64_MAX;       /* it has had one */
  for (l->entry = 1; l->entry <= l->entries && !err; l->entry++) {
    err = get_entry (l);
    if (!err)
      err = do_entry (l);
  }
  if (!err)
    cache_replay_end (l->disk->cache, l->end);
  return err;
}

int
replay_start (const char *file, struct disk_cache *how, char *why, size_t size)
{
  struct loading l = { .name = file, .why = why, .size = size };
  int err = 0;

  l.data = malloc (MOST_DATA);
  l.file = fopen (file, "rbe");
  if (!l.file || !l.data)
    err = l.file ? ENOMEM : errno;
  if (!err)
    err = load_all (&l, how);
  if (err && err != EINVAL)
    bad_file (&l, strerror (err));
  if (l.file)
    fclose (l.file);
  free (l.data);
  return err;
}
