/* files.h - what stands for the files in a directory. */

#ifndef TORTURE_FILES_H
#define TORTURE_FILES_H

#include <stdbool.h>
#include <stdint.h>

/* Make it of all names, types, modes, owners, sizes, times of change and contents, but not of
 * what is mounted there.  False: not all could be read.
 */
bool files_digest (const char *dir, uint64_t digest[2]);

#endif /* TORTURE_FILES_H */
