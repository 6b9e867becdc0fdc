/* bulk.c - functions of scripts that make or change many bytes at once, for which
 * Lua itself would be too slow: pattern and flip.
 */

#include <math.h>
#include <string.h>

#include "lib/chance.h"
#include "lib/min.h"
#include "lua/method.h"

/*--------------------------------------------------------------------*/
/* Content by offset. */

/* A word whose bytes in memory are little-endian, or big-endian; and back. */
static uint64_t
little_endian (uint64_t word)
{
  return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? word : __builtin_bswap64 (word);
}

static uint64_t
big_endian (uint64_t word)
{
  return __builtin_bswap64 (little_endian (word));
}

void
random_bytes (uint8_t *buf, uint64_t words, uint64_t offset, uint64_t seed)
{
  seed = chance_mix (seed);     /* or neighbouring seeds give neighbouring words */
  for (uint64_t i = 0; i < words; i++) {
    const uint64_t word = chance_mix (seed + (offset / 8 + i) * CHANCE_STEP);

    memcpy (buf + i * 8, &(uint64_t) { little_endian (word) }, 8);
  }
}

/* Each 8 bytes hold their offset, big-endian, as nbdkit's pattern plugin has it. */
static void
offset_bytes (uint8_t *buf, uint64_t words, uint64_t offset)
{
  for (uint64_t i = 0; i < words; i++)
    memcpy (buf + i * 8, &(uint64_t) { big_endian (offset + i * 8) }, 8);
}

/* pattern (offset, count [, seed]): the bytes of a disk full of offsets, or, with a
 * seed, of what disk:random stores.
 */
static int
lua_pattern (lua_State *L)
{
  const uint64_t offset = check_bytes (L, 1, INT64_MAX, UINT64_MAX);
  const uint64_t count = check_bytes (L, 2, INT64_MAX - offset, UINT64_MAX);
  const bool random = !lua_isnoneornil (L, 3);
  const lua_Integer seed = luaL_optinteger (L, 3, 0);
  const uint64_t skip = offset % 8, words = (skip + count + 7) / 8;
  luaL_Buffer b;
  uint8_t *p = (uint8_t *) luaL_buffinitsize (L, &b, words * 8);

  if (random)
    random_bytes (p, words, offset - skip, (uint64_t) seed);
  else
    offset_bytes (p, words, offset - skip);
  if (skip > 0)
    memmove (p, p + skip, count);
  luaL_pushresultsize (&b, count);
  return 1;
}

/*--------------------------------------------------------------------*/
/* Bits, each with a probability.
 *
 * The bits are chosen in blocks.  What is chosen in a block depends on a random
 * number, on the number of the block, and on nothing else, so that a part of a
 * block has the same bits as the whole.
 */

#define BLOCK 4096              /* bytes */
#define BLOCK_BITS (BLOCK * 8)
#define BLOCK_WORDS (BLOCK / 8)

/* Below this probability it is faster to draw how far it is to the next bit than to
 * draw something for each word.
 */
#define SPARSE 0.01

/* A probability: which share of 2^64; UINT64_MAX is all. */
static uint64_t
share (double p)
{
  return p < 1 ? (uint64_t) (p * 0x1p64) : UINT64_MAX;
}

struct flip {
  double p;                     /* of each bit */
  double rate;                  /* -log (1 - p) */
  uint64_t share;               /* of p */
  uint64_t random;
  uint64_t offset;              /* of the data: where its first block begins */
  bool stuck;                   /* bits are 0 or 1, and do not flip */
  uint64_t often;               /* how often a stuck bit is stuck: a share */
  uint64_t luck;                /* decides that */
};

/* Bits that are 1 with a probability each.  As many random words are drawn as it
 * takes until each bit has differed from a binary digit of the share, which decides
 * whether it is less.
 */
static uint64_t
draw_word (uint64_t share, uint64_t random)
{
  uint64_t bits = 0, open = UINT64_MAX, differ, digit;

  if (share == UINT64_MAX)
    return UINT64_MAX;
  for (; open && share; share <<= 1) {
    random += CHANCE_STEP;
    digit = share >> 63 ? UINT64_MAX : 0;
    differ = open & (chance_mix (random) ^ digit);
    bits |= differ & digit;
    open &= ~differ;
  }
  return bits;
}

/* How far it is to the next of bits that have the same probability each; BLOCK_BITS
 * if it is further.
 */
static unsigned
draw_gap (const struct flip *f, uint64_t random)
{
  const double gap = -log (1 - chance_fraction (random)) / f->rate;

  return gap < BLOCK_BITS ? (unsigned) gap : BLOCK_BITS;
}

/* Choose the bits of a block, of which RANDOM is the random number.  False: none. */
static bool
choose_bits (const struct flip *f, uint64_t random, uint64_t *mask)
{
  unsigned n;

  if (f->p >= SPARSE) {
    for (uint64_t i = 0; i < BLOCK_WORDS; i++)
      mask[i] = draw_word (f->share, chance_mix (random + i));
    return true;
  }
  if (f->p <= 0 || (n = draw_gap (f, random)) >= BLOCK_BITS)
    return false;
  memset (mask, 0, BLOCK);
  for (; n < BLOCK_BITS; n += 1 + draw_gap (f, random)) {
    mask[n / 64] |= UINT64_C (1) << n % 64;
    random = chance_mix (random + CHANCE_STEP);
  }
  return true;
}

/* Change the bits of a word that are 1 in CHOSEN: word I of a block. */
static uint64_t
change_word (const struct flip *f, uint64_t word, uint64_t chosen,
             uint64_t random, uint64_t luck, uint64_t i)
{
  if (!f->stuck)
    return word ^ chosen;
  chosen &= draw_word (f->often, chance_mix (luck + i));
  return (word & ~chosen) | (chance_mix (~random + i) & chosen);
}

/* Change the chosen bits of the bytes FROM <= i < END of a block, which begin at
 * DATA.
 */
static void
change_bytes (const struct flip *f, uint64_t random, const uint64_t *mask,
              uint64_t luck, uint8_t *data, uint64_t from, uint64_t end)
{
  uint64_t n;

  for (; from < end; from += n, data += n) {
    const uint64_t i = from / 8, in_word = from % 8;
    uint8_t bytes[8] = { 0 };
    uint64_t word;

    n = min_u64 (8 - in_word, end - from);
    if (!mask[i])
      continue;
    memcpy (bytes + in_word, data, n);
    memcpy (&word, bytes, 8);
    word = little_endian (change_word (f, little_endian (word), mask[i], random,
                                       luck, i));
    memcpy (bytes, &word, 8);
    memcpy (data, bytes + in_word, n);
  }
}

/* Put a copy of LEN bytes with changed bits on the stack; nothing, if there are
 * none.
 */
static bool
push_flipped (lua_State *L, const struct flip *f, const char *data, size_t len)
{
  struct work work = work_begin ("flip", len);
  uint64_t mask[BLOCK_WORDS], n;
  uint8_t *copy = NULL;
  luaL_Buffer b;

  for (uint64_t done = 0; done < len; done += n) {
    const uint64_t block = (f->offset + done) / BLOCK;
    const uint64_t skip = (f->offset + done) % BLOCK;
    const uint64_t random = chance_mix (f->random + block * CHANCE_STEP);

    n = min_u64 (len - done, BLOCK - skip);
    if (choose_bits (f, random, mask)) {
      if (!copy)
        copy = memcpy (luaL_buffinitsize (L, &b, len), data, len);
      change_bytes (f, random, mask, chance_mix (f->luck + block * CHANCE_STEP),
                    copy + done, skip, skip + n);
    }
    work_show (L, &work, done);
  }
  if (copy)
    luaL_pushresultsize (&b, len);
  work_end (&work);
  return copy != NULL;
}

/*--------------------------------------------------------------------*/
/* flip. */

/* Push option NAME of the table at index 3, or nil, if there is no table.  False: it
 * is nil.
 */
static bool
get_option (lua_State *L, const char *name)
{
  if (lua_istable (L, 3))
    return lua_getfield (L, 3, name) != LUA_TNIL;
  lua_pushnil (L);
  return false;
}

/* Raise an error unless the option on top of the stack is WHAT it should be. */
static void
check_option (lua_State *L, bool good, const char *name, const char *what)
{
  if (!good)
    luaL_error (L, "flip: %s: expected %s, got %s", name, what,
                luaL_tolstring (L, -1, NULL));
}

static void
read_options (lua_State *L, struct flip *f)
{
  static const char *const names[] = { "offset", "seed", "stuck", NULL };
  uint64_t seed = host.config.seed;
  double often = 1;

  if (!lua_isnil (L, 3)) {
    luaL_checktype (L, 3, LUA_TTABLE);
    check_keys (L, 3, "flip", names);
  }
  if (get_option (L, "stuck")) {
    f->stuck = true;
    check_option (L, to_probability (L, -1, &often), "stuck",
                  "a probability, such as 0.5 or \"50%\"");
  }
  if (get_option (L, "seed")) {
    check_option (L, lua_isinteger (L, -1), "seed", "a whole number");
    seed = (uint64_t) lua_tointeger (L, -1);
  }
  if (get_option (L, "offset"))
    check_option (L, to_bytes (L, -1, &f->offset), "offset",
                  "bytes, such as 512 or \"4K\"");
  else
    f->random = call_luck (check_call (L, "flip without an offset", false));
  f->random = chance_mix (f->random ^ chance_mix (seed));
  f->often = share (often);
  if (often < 1)
    f->luck = call_luck (check_call (L, "flip with stuck below 1", false));
}

/* flip (data, p [, { offset = ..., seed = ..., stuck = ... }]): the string with each
 * of its bits changed with that probability.
 */
static int
lua_flip (lua_State *L)
{
  struct flip f = { .stuck = false };
  const char *data;
  size_t len;

  luaL_checktype (L, 1, LUA_TSTRING);
  data = lua_tolstring (L, 1, &len);
  f.p = check_probability (L, 2);
  f.rate = -log1p (-f.p);
  f.share = share (f.p);
  lua_settop (L, 3);
  read_options (L, &f);
  if (!push_flipped (L, &f, data, len))
    lua_pushvalue (L, 1);
  return 1;
}

void
open_bulk (lua_State *L)
{
  lua_register (L, "pattern", lua_pattern);
  lua_register (L, "flip", lua_flip);
}
