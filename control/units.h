/* units.h - numbers with their units, for people.
 *
 * BUF has room for UNITS_SIZE bytes, and is returned.
 */

#ifndef UNITS_H
#define UNITS_H

#include <stdint.h>

#define UNITS_SIZE 32

/* Write a time of S seconds with three digits and the unit that fits: "10.8 ms". */
const char *units_time (char *buf, double s);

/* Write a number of bytes exactly, with a unit where it is a multiple of one: "64M". */
const char *units_bytes (char *buf, uint64_t n);

#endif /* UNITS_H */
