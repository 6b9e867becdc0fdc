/* sys.h - time and threads, as this program uses them.
 *
 * Times are nanoseconds of CLOCK_MONOTONIC.  Any thread may call these functions.
 */

#ifndef SYS_H
#define SYS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define SECOND UINT64_C (1000000000)

/* How often long work and long waits check whether they must stop. */
#define SYS_STEP (SECOND / 50)

/* The time. */
uint64_t sys_now (void);

/* The processor time that the calling thread has used. */
uint64_t sys_cpu (void);

/* Write the time of day in UTC, such as "2026-01-31T23:59:59.123456Z". */
#define SYS_UTC 92              /* the compiler wants room for any number */
void sys_utc (char text[SYS_UTC]);

/* Make a condition for which sys_cond_wait can wait. */
void sys_cond_init (pthread_cond_t *cond);

/* Wait for a condition until the time is END.  LOCK is held by the caller, and
 * released meanwhile.  False: the time is over.
 */
bool sys_cond_wait (pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t end);

/* Start a thread that blocks all signals.  The caller joins it.  0 or an errno
 * code.
 */
int sys_thread (pthread_t *thread, void *(*run) (void *), void *context);

#endif /* SYS_H */
