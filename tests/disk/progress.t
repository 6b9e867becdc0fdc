#!/usr/bin/env bash
# Work that takes more than a second shows its progress, but only on a terminal.
. "$(dirname "$0")/../lib/lib.sh"
need python3
[ -z "$WATCH" ] || skip_all "the terminal is tried unwatched"

# Work takes longer than a second on any machine, because the process has its own
# clock.
cat >slow.c <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
int clock_gettime (clockid_t id, struct timespec *t)
{
  static int (*next) (clockid_t, struct timespec *);
  static long calls;
  if (!next) next = (int (*) (clockid_t, struct timespec *)) dlsym (RTLD_NEXT, "clock_gettime");
  int r = next (id, t);
  if (id == CLOCK_MONOTONIC) t->tv_sec += ++calls;
  return r;
}
C
"${CC:-cc}" -shared -fPIC -o slow.so slow.c
run=(env "LD_PRELOAD=$scratch/slow.so" nbdkit -U - "$SO" 4M
     lua='disk:fill(0, "4M", "x") disk:random(0, "4M") disk:save("image") disk:load("image")' --run true)
python3 -c 'import pty, sys; pty.spawn(sys.argv[1:])' "${run[@]}" >terminal 2>&1
for what in disk:fill disk:random image; do
    like "$(tr '\r' '\n' <terminal)" "^$what: +[0-9]+ %" "$what shows percents"
    like "$(tr '\r' '\n' <terminal)" "^$what: done" "... and its end"
done
is "$("${run[@]}" 2>&1)" "" "not where there is no terminal"
done_testing
