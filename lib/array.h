/* array.h - arrays that grow. */

#ifndef ARRAY_H
#define ARRAY_H

#include <stdbool.h>
#include <stddef.h>

/* Make room for one more than N items of SIZE bytes in an array from malloc.
 * ARRAY is the address of a pointer to it, of any type, which is NULL at first;
 * it has room for *ROOM items, 0 at first.  Where the array must grow it is
 * moved, and its room doubles as often as needed, so that adding N items one
 * by one costs time in proportion to N.  New room is not initialized.  The
 * caller owns the array, frees it, and locks.  False: no memory, and nothing
 * has changed.
 */
bool array_grow (void *array, size_t n, size_t *room, size_t size);

#endif /* ARRAY_H */
