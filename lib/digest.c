/* digest.c - what stands for the content of a disk. */

#include <stdbool.h>
#include <string.h>

#include "lib/chance.h"
#include "lib/digest.h"
#include "lib/min.h"

#define WORDS (DIGEST_UNIT / 8)
#define GOLDEN CHANCE_STEP

/* Read words from the bytes of a unit.  False: they are all zeroes. */
static bool
take_words (uint64_t *words, const unsigned char *bytes, uint64_t count)
{
  uint64_t any = 0;

  if (count < DIGEST_UNIT)
    memset (words, 0, DIGEST_UNIT);
  memcpy (words, bytes, count);
  for (unsigned i = 0; i < WORDS; i++)
    any |= words[i];
  return any != 0;
}

static struct digest
hash_unit (const uint64_t *words, uint64_t number)
{
  uint64_t low_key = chance_mix (number), high_key = chance_mix (low_key);
  struct digest d = { 0, 0 };

  for (unsigned i = 0; i < WORDS; i++) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    const uint64_t word = __builtin_bswap64 (words[i]);
#else
    const uint64_t word = words[i];
#endif
    d.low += chance_mix (word ^ low_key);
    d.high += chance_mix (word ^ high_key);
    low_key += GOLDEN;
    high_key += GOLDEN;
  }
  return d;
}

static struct digest
hash (const void *buf, uint64_t count, uint64_t offset)
{
  const unsigned char *bytes = buf;
  uint64_t words[WORDS];
  struct digest sum = { 0, 0 }, unit;

  for (uint64_t i = 0; i < count; i += DIGEST_UNIT) {
    if (!take_words (words, bytes + i, min_u64 (count - i, DIGEST_UNIT)))
      continue;
    unit = hash_unit (words, (offset + i) / DIGEST_UNIT);
    sum.low += unit.low;
    sum.high += unit.high;
  }
  return sum;
}

void
digest_add (struct digest *d, const void *buf, uint64_t count, uint64_t offset)
{
  const struct digest sum = hash (buf, count, offset);

  d->low += sum.low;
  d->high += sum.high;
}

void
digest_sub (struct digest *d, const void *buf, uint64_t count, uint64_t offset)
{
  const struct digest sum = hash (buf, count, offset);

  d->low -= sum.low;
  d->high -= sum.high;
}
