/* array.h - arrays that grow. */

#ifndef ARRAY_H
#define ARRAY_H

#include <stdbool.h>
#include <stddef.h>

/* Make room for one more than N items of SIZE bytes in an array from malloc, which
 * *ARRAY (a pointer to any type, NULL at first) points to and which has room for
 * *ROOM items.  The array is moved where it must grow; what it then costs is in
 * proportion to N, each time it doubles.  The caller owns it and frees it.
 * False: no memory, and nothing has changed.
 */
bool array_grow (void *array, size_t n, size_t *room, size_t size);

#endif /* ARRAY_H */
