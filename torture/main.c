/* main.c - disktorture: find out what storage software does when its disk fails.
 *
 *     options   what the command line says
 *     server    the disk: nbdkit with the plugin, and its control socket
 *     place     where disks are seen: files, mounts
 *     record    run the workload, whose acknowledgements become marks
 *     history   what was recorded, and what a name means
 *     state     one state: saved, mounted, checked
 *     campaign  all of them; what failed, and why
 *     out       the directory for what is found
 *     tools     errors, texts, files, programs
 *
 * It knows the names of states and the control socket, and nothing of the plugin's inside.
 */

#include <stdio.h>
#include <stdlib.h>

#include "control/client.h"
#include "lib/sys.h"
#include "torture/campaign.h"
#include "torture/out.h"
#include "torture/place.h"
#include "torture/record.h"
#include "torture/server.h"
#include "torture/tools.h"

static void
print_recorded (const struct history *h, uint64_t since)
{
  printf ("recorded  %zu writes, %zu flushes, %zu marks, %.1f MB in %.1f s\n", h->requests,
          h->flushes, h->marks, (double) h->bytes / 1e6, (double) (sys_now () - since) / 1e9);
  fflush (stdout);
}

int
main (int argc, char **argv)
{
  struct options o = read_options (argc, argv);
  const char *place;
  struct history h;
  uint64_t since;

  if (o.show)
    out_recall (&o);
  else
    out_make (&o);
  take_signals ();
  client_name = "disktorture";
  place = place_begin (o.mount);
  server_start (&o, place, o.show ? out_history (&o) : NULL);
  since = sys_now ();
  if (!o.show)
    record (&o, place);
  h = history_read ();
  if (o.show)
    return show (&o, &h, place);
  print_recorded (&h, since);
  return campaign (&o, &h, place);
}
