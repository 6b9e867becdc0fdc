/* sys.c - time and threads. */

#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "lib/sys.h"

static uint64_t
read_clock (clockid_t clock)
{
  struct timespec t;

  clock_gettime (clock, &t);
  return (uint64_t) t.tv_sec * SECOND + (uint64_t) t.tv_nsec;
}

uint64_t
sys_now (void)
{
  return read_clock (CLOCK_MONOTONIC);
}

uint64_t
sys_cpu (void)
{
  return read_clock (CLOCK_THREAD_CPUTIME_ID);
}

void
sys_utc (char text[SYS_UTC])
{
  struct timespec now;
  struct tm tm;

  clock_gettime (CLOCK_REALTIME, &now);
  gmtime_r (&now.tv_sec, &tm);
  snprintf (text, SYS_UTC, "%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ",
            tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
            tm.tm_sec, now.tv_nsec / 1000);
}

void
sys_cond_init (pthread_cond_t *cond)
{
  pthread_condattr_t attr;

  pthread_condattr_init (&attr);
  pthread_condattr_setclock (&attr, CLOCK_MONOTONIC);
  pthread_cond_init (cond, &attr);
  pthread_condattr_destroy (&attr);
}

bool
sys_cond_wait (pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t end)
{
  const struct timespec t = { (time_t) (end / SECOND), (long) (end % SECOND) };

  return pthread_cond_timedwait (cond, lock, &t) == 0;
}

int
sys_thread (pthread_t *thread, void *(*run) (void *), void *context)
{
  sigset_t all, old;
  int err;

  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &old);
  err = pthread_create (thread, NULL, run, context);
  pthread_sigmask (SIG_SETMASK, &old, NULL);
  return err;
}
