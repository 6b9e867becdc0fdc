/* bench.h - what the programs that call a plugin's callbacks have in common.
 *
 * host.c plays nbdkit for the plugin, load.c starts it.  What goes wrong ends the
 * program with a line on standard error.
 */

#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

/* What a client of nbdkit_export_name gets.  "": the default. */
extern const char *host_export_name;

/* Say that WHAT can't go on, and WHY, and exit. */
void die (const char *what, const char *why) __attribute__ ((noreturn));

/* Seconds on a clock that only goes forward. */
double now (void);

/* The next of the same random numbers for all.  *STATE starts with any number
 * except 0.
 */
uint64_t next_random (uint64_t *state);

/* Fill COUNT bytes, a multiple of 8. */
void fill_random (char *buf, size_t count, uint64_t seed);

/* What a line of /proc/self/status says, such as "VmRSS:", in bytes. */
double memory_status (const char *name);

/* The plugin in the file PATH.  A process can load each file once. */
struct nbdkit_plugin *load_plugin (const char *path);

/* Take a plugin through its life up to where it serves requests.  PARAMETERS are
 * KEY=VALUE, ended by NULL or "--".
 */
void start_plugin (const struct nbdkit_plugin *p, const char *size,
                   char **parameters);

/* Write all SIZE bytes of a disk, and make them durable. */
void fill_disk (const struct nbdkit_plugin *p, void *handle, uint64_t size);

/* How many requests that takes. */
uint64_t fill_requests (uint64_t size);

#endif /* BENCH_H */
