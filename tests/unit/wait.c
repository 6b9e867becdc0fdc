/* Waits of the server, whatever nbdkit and the kernel say. */

#include <errno.h>
#include <pthread.h>

#include "tap.h"

/* So many more threads can't be made. */
static unsigned refuse;

static int
test_create (pthread_t *thread, const pthread_attr_t *attr,
             void *(*run) (void *), void *context)
{
  if (refuse == 0)
    return pthread_create (thread, attr, run, context);
  refuse--;
  return EAGAIN;
}

#define pthread_create test_create
#include "lib/sys.c"
#undef pthread_create
#include "request.c"

static bool ends;               /* what nbdkit knows */
static uint64_t napped;         /* what it was asked for last */

int
nbdkit_nanosleep (unsigned sec, unsigned nsec)
{
  napped = sec * SECOND + nsec;
  return ends ? -1 : 0;
}

int
nbdkit_add_extent (struct nbdkit_extents *extents, uint64_t offset,
                   uint64_t length, uint32_t type)
{
  (void) extents;
  (void) offset;
  (void) length;
  (void) type;
  return 0;
}

int
main (void)
{
  const uint64_t start = sys_now ();

  ok (request_wait_server (SECOND) == 0 && napped == SECOND,
      "nbdkit lets time pass");
  refuse = 3;
  ok (request_wait_server (1000 * SECOND) == 0 && refuse == 0,
      "a thread can't be made for some time");
  ok (napped < 1000 * SECOND && sys_now () - start > 3 * SYS_STEP
      && 1000 * SECOND - napped <= sys_now () - start,
      "... which is part of the wait");
  refuse = 1000;
  ok (request_wait_server (SYS_STEP) == 0 && refuse > 0,
      "or not before the wait is over");
  ok (!request_server_ends (), "that does not mean that the server ends");
  refuse = 0;
  ok (!request_server_ends (), "nor does it later");
  ends = true;
  ok (request_wait_server (0) == ESHUTDOWN && request_server_ends (),
      "it ends");
  refuse = 3;
  ok (request_wait_server (UINT64_MAX) == ESHUTDOWN && refuse == 0,
      "so does a wait for ever that had no thread at first");
  refuse = 1000;
  ok (request_server_ends (), "which stays so");
  return done_testing ();
}
