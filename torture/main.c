/* main.c - disktorture: find out what storage software does when its disk fails.
 *
 *     options   what the command line says
 *     server    the disk: nbdkit with the plugin, and its control socket
 *     place     where disks are seen: files, mounts
 *     record    run the workload, whose acknowledgements become marks
 *     history   what was recorded, and what a name means
 *     state     one state: saved, mounted, checked (files: what stands for its files;
 *               oracle: what must be there; owner: whose a part of the disk is)
 *     names     all of them
 *     workers   processes that check them
 *     campaign  the order; lists and parts for many machines; one to look at
 *     causes    what failed, and why; shrink: the least that must be lost
 *     errors    requests fail, one at a time
 *     recuts    the power fails again while a state recovers
 *     out       the directory for what is found; junit: for continuous integration
 *     tools     errors, texts, files, programs
 *
 * It knows the names of states and the control socket, and nothing of the plugin's inside.
 */

#include <stdio.h>
#include <stdlib.h>

#include "control/client.h"
#include "lib/sys.h"
#include "torture/campaign.h"
#include "torture/errors.h"
#include "torture/junit.h"
#include "torture/out.h"
#include "torture/place.h"
#include "torture/record.h"
#include "torture/server.h"
#include "torture/tools.h"
#include "torture/workers.h"

/* Where promises come too late, nothing is proved. */
static void
warn (const struct options *o, const struct history *h)
{
  if (h->acks == 0 && !o->promised)
    fputs ("disktorture: the workload acknowledges nothing (it never says \"ack X\"), so "
           "nothing can be seen to be lost\n", stderr);
  if (h->acks > 1 && h->before_ack > 0 && h->after_ack == 0)
    fputs ("disktorture: each \"ack X\" came after the last write: is the output of the "
           "workload held back?\n", stderr);
}

/* Run the workload, and keep what it did. */
static void
make_history (struct options *o, const char *place)
{
  const uint64_t since = sys_now ();
  struct history h;

  server_start (o, place, NULL);
  o->healthy = record_healthy (o, place);
  h = history_read (o, out_promised (o));
  /* The list of names may go to a pipe. */
  fprintf (o->mode == DO_LIST ? stderr : stdout,
           "recorded  %zu writes, %zu flushes, %zu marks, %.1f MB in %.1f s\n", h.requests,
           h.flushes, h.marks, (double) h.bytes / 1e6, (double) (sys_now () - since) / 1e9);
  fflush (stdout);
  warn (o, &h);
  out_save_history (o);
  server_stop ();
}

/* The server of the history has said all, and makes room for those of the runs. */
static int
act_errors (const struct checking *c, bool goes_on)
{
  struct healthy healthy;

  if (!goes_on) {
    workers_start (c, 1);
    campaign_healthy (c);
    out_save_run (c->options);
  }
  healthy = errors_healthy (c);
  server_stop ();
  return c->options->mode == DO_SHOW ? errors_show (c, c->options->words[0], &healthy)
    : errors (c, &healthy);
}

static int
act (const struct checking *c, bool goes_on)
{
  const struct options *o = c->options;

  if (o->errors || (o->mode == DO_SHOW && errors_named (o->words[0])))
    return act_errors (c, goes_on);
  if (o->mode == DO_SHOW)
    return campaign_show (c, o->words[0], o->words[1] ? o->words + 1 : NULL);
  workers_start (c, o->jobs);
  if ((o->mode == DO_ALL || o->mode == DO_LIST) && !goes_on) {
    campaign_healthy (c);
    out_save_run (o);
  }
  if (o->mode == DO_LIST)
    return campaign_list (c);
  return o->mode == DO_CHECK ? campaign_check (c, o->words) : campaign (c, o->mode == DO_ALL);
}

int
main (int argc, char **argv)
{
  struct options o = read_options (argc, argv);
  struct checking c = { .options = &o };
  struct history h;
  bool goes_on = true;

  if (o.junit && (o.mode == DO_ALL || o.mode == DO_REPORT))
    junit_begin (o.junit);
  if ((o.mode == DO_ALL || o.mode == DO_LIST) && o.workload)
    goes_on = out_make (&o);
  else
    out_recall (&o);
  take_signals ();
  client_name = "disktorture";
  find_own_path (argv[0]);
  c.place = place_begin (o.mount);
  if (!goes_on)
    make_history (&o, c.place);
  server_start (&o, c.place, out_history (&o));
  h = history_read (&o, out_promised (&o));
  c.history = &h;
  return act (&c, goes_on);
}
