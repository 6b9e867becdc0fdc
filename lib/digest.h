/* digest.h - what stands for the content of a disk: equal digest, equal content.
 *
 * A digest is a pair of sums, modulo 2^64, over the units of 512 bytes of the disk.  (The
 * last one is padded with zeroes.)  A unit of zeroes adds nothing.  Unit number U, whose
 * content is the words W[0] to W[63], little-endian, adds
 *
 *      to LOW    the sum over i of mix (W[i] ^ (mix (U) + i * G))
 *      to HIGH   the sum over i of mix (W[i] ^ (mix (mix (U)) + i * G))
 *
 * where mix is chance_mix and G is 0x9e3779b97f4a7c15.  So a unit that changes is taken off
 * and added again, whatever the others hold.
 */

#ifndef DIGEST_H
#define DIGEST_H

#include <stdint.h>

struct digest { uint64_t high, low; };

#define DIGEST_UNIT 512         /* bytes */

/* Add the units of COUNT bytes, the first at byte OFFSET of the disk, a multiple of
 * DIGEST_UNIT; or take them off.
 */
void digest_add (struct digest *d, const void *buf, uint64_t count, uint64_t offset);
void digest_sub (struct digest *d, const void *buf, uint64_t count, uint64_t offset);

#endif /* DIGEST_H */
