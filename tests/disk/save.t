#!/usr/bin/env bash
# disk:save writes another file and renames it when it is complete and on the disk, so
# that neither a failure nor a crash leaves half an image.
. "$(dirname "$0")/../lib/lib.sh"
[ -z "$WATCH" ] || skip_all "what nbdkit --run starts does not bear a sanitizer, and there is one thread"

mkdir dir
save () { nbdkit_run -U - size=1M lua="$1" --run true >out 2>&1; }

# The old file stays until then, and nothing is left beside it.
echo old >dir/image
save 'function on.fill(offset) if offset > 300000 then error "no more" end end
print(pcall(disk.save, disk, "dir/image"), pcall(disk.save, disk, "dir/other"))'
is "$(cat dir/image) $(ls -A dir)" "old image" "on.fill fails: the old image is there"
is "$(grep -c "no more" out)" 1 "and the error is raised"
# shellcheck disable=SC2016
save 'function on.fill(offset) if offset > 300000 then os.execute("kill -9 $PPID") end end
disk:save "dir/image"'
is "$(cat dir/image)" "old" "the server is killed meanwhile: the old image is there"
rm dir/*.tmp
ok $? "and what was saved of the other one beside it"
save 'disk:write(0, "new") disk:save "dir/image" disk:save "dir/other"'
is "$(head -c 3 dir/image; stat -c ' %s' dir/image) $(ls -A dir)" "new 1048576 image
other" "it is replaced, and nothing is left"

# What else is replaced, and what not.
echo old >dir/image
chmod 640 dir/image
ln -s dir/image link
ln -s dir/none dangling
ln dir/image hard
save 'disk:save "link" disk:save "dangling" disk:save "made"'
is "$(stat -c '%a %F' dir/image link dangling made)" "640 regular file
777 symbolic link
644 regular file
644 regular file" "a link stays one, and the file has the rights that it had"
is "$(cat hard)" "old" "another name of the old one still has that"
mkfifo fifo
for to in fifo /dev/null "" . dir/ missing/image "$(printf '%0300d' 0)"; do
    save "disk:save '$to'"
    like "$(cat out)" "(is no regular file|Is a directory|No such file or directory|File name too long)" "refused: ${to:0:20}"
done
long=$(printf '%0255d' 0)
save "disk:save 'dir/$long'"
is "$(stat -c %s "dir/$long")" 1048576 "the longest name"
is "$(stat -c %F fifo) $(find . -name '*.tmp')" "fifo " "nothing else was left"

# The file is on the disk before it gets its name, and the name before disk:save
# returns.
"${CC:-cc}" -shared -fPIC -o tell.so -x c - -ldl <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int
fsync (int fd)
{
  struct stat st;

  fstat (fd, &st);
  dprintf (2, "fsync %s\n", S_ISDIR (st.st_mode) ? "dir" : "file");
  return 0;
}

int
renameat (int from, const char *old, int to, const char *new)
{
  int (*real) (int, const char *, int, const char *) = dlsym (RTLD_NEXT, "renameat");

  dprintf (2, "rename to %s\n", new);
  return real (from, old, to, new);
}
C
LD_PRELOAD=$scratch/tell.so save 'disk:save "dir/image" io.stderr:write "saved\n"'
is "$(grep -E '^(fsync|rename|saved)' out)" "fsync file
rename to image
fsync dir
saved" "in this order"
done_testing
