/* activation.c - a test in C, with libnbd: it starts nbdkit by socket activation, and
 * nbdkit ends with it.
 *
 *     cc -o activation examples/activation.c $(pkg-config --cflags --libs libnbd)
 *     ./activation ./memory.so
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libnbd.h>

static void
check (int ok, const char *what)
{
  if (ok)
    return;
  fprintf (stderr, "FAILED: %s: %s\n", what,
           nbd_get_error () ? nbd_get_error () : "no error");
  exit (EXIT_FAILURE);
}

int
main (int argc, char *argv[])
{
  char *nbdkit[] = {
    "nbdkit", "--exit-with-parent", argc > 1 ? argv[1] : "./memory.so", "size=1M",
    "lua=fault { op = 'write', nth = 2, keep = 512, error = 'ENOSPC' }", NULL
  };
  char data[4096], back[4096];
  struct nbd_handle *nbd = nbd_create ();

  check (nbd != NULL, "nbd_create");
  check (nbd_connect_systemd_socket_activation (nbd, nbdkit) == 0, "connect");

  memset (data, 'a', sizeof data);
  check (nbd_pwrite (nbd, data, sizeof data, 0, 0) == 0, "the first write");
  memset (data, 'b', sizeof data);
  check (nbd_pwrite (nbd, data, sizeof data, 0, 0) == -1
         && nbd_get_errno () == ENOSPC, "the second write fails");

  /* It was torn: 512 bytes are new. */
  check (nbd_pread (nbd, back, sizeof back, 0, 0) == 0, "a read");
  check (memcmp (back, data, 512) == 0 && back[512] == 'a', "512 bytes are new");

  /* Without this, nbdkit is told to end, and does so when all clients have gone. */
  check (nbd_shutdown (nbd, 0) == 0, "disconnect");
  nbd_close (nbd);
  puts ("PASSED");
  return EXIT_SUCCESS;
}
