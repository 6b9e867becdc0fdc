/* method.h - what the methods of the object disk have in common.
 *
 * They work on the live disk, except those that snapshots have as well, which are of
 * the same size.  Everything here is called with the host's lock
 * held, or before requests are served.
 */

#ifndef LUA_METHOD_H
#define LUA_METHOD_H

#include "lua/host.h"

/* Data moves in pieces that stay in the processor's cache. */
#define PIECE ((uint64_t) 64 * 1024)

/* The key of the object disk in the registry (lua_rawgetp). */
extern const char disk_object;

/* Raise an error unless the first argument is the object disk, as it is where a method
 * was called with a colon.  METHOD is its name and its arguments.
 */
void check_self (lua_State *L, const char *method);

/* The same for methods that snapshots have as well, with ARGS arguments after the
 * object.  The disk on which to work, which stays until the method returns or fails;
 * for that, there may be values on the stack above the arguments.  A snapshot that was
 * dropped is an error.
 */
struct disk *check_disk (lua_State *L, const char *method, int args);

/* The same for an object at INDEX that was checked before. */
struct disk *hold_disk (lua_State *L, int index);

/* Arguments: a place on the disk, and a number of bytes from there on, both in
 * bytes.
 */
uint64_t check_offset (lua_State *L, int arg);
uint64_t check_count (lua_State *L, int arg, uint64_t offset);

/* Raise an error if ERR, which a function of disk.h or medium.h returned, is not
 * 0: that of on.fill, where it was one, otherwise "disk:METHOD: why".
 */
void disk_error (lua_State *L, int err, const char *method);

/* disk_write to the live disk; raises such an error. */
void disk_write_piece (lua_State *L, const char *method, const void *buf,
                       uint64_t count, uint64_t offset);

/* disk_zero of the live disk, and disk_extent, in pieces that each take some
 * milliseconds: they raise an error if the work must stop.  METHOD is for errors.
 * END is greater than OFFSET.
 */
void disk_zero_pieces (lua_State *L, const char *method, uint64_t count,
                       uint64_t offset);
uint64_t disk_extent_pieces (lua_State *L, struct disk *d, uint64_t offset,
                             uint64_t end, bool *data);

/* Long work.  It shows its progress, it stops when the client has gone or the
 * server ends, and its time does not count against the hook's limit.  Call
 * work_show after each piece: it raises an error if the work must stop.  DONE and
 * TOTAL are bytes.
 */
struct work {
  const char *what;
  uint64_t total;
  uint64_t start;               /* nanoseconds, as all that follow */
  uint64_t show, look;          /* when to do so next */
  bool shown;
};

struct work work_begin (const char *what, uint64_t total);
void work_show (lua_State *L, struct work *w, uint64_t done);
void work_end (struct work *w);

/* lua/bulk.c: put the random bytes that belong to OFFSET, in bytes and a multiple of
 * 8, into BUF, WORDS times 8.  They depend on the seed and the offset only, and are
 * the same on any machine.
 */
void random_bytes (uint8_t *buf, uint64_t words, uint64_t offset, uint64_t seed);

/* lua/snapshot.c: methods that make and end snapshots; the class of their objects,
 * which has METHODS; push a list of their names.
 */
int disk_method_snapshot (lua_State *L);
int disk_method_get (lua_State *L);
int disk_method_revert (lua_State *L);
int disk_method_drop (lua_State *L);
void open_snapshot (lua_State *L, const luaL_Reg *methods);
void push_snapshots (lua_State *L);

/* lua/snapshot.c: if the value at INDEX is the object of a snapshot, replace it by its
 * name, so that it can stand where a name can.  A snapshot that was dropped is an
 * error.
 */
void snapshot_to_name (lua_State *L, int index);

/* lua/image.c: methods that load and save files. */
int disk_method_load (lua_State *L);
int disk_method_save (lua_State *L);
int disk_method_save_history (lua_State *L);

/* lua/medium.c: what is wrong with the medium. */
int disk_method_bad (lua_State *L);
int disk_method_heal (lua_State *L);
int disk_method_limit (lua_State *L);
int disk_method_readonly (lua_State *L);
int disk_method_throttle (lua_State *L);

/* lua/crash.c: power cuts; read one from the top of the stack, a choice or { CHOICE, torn
 * = true, bad = true }, and leave the choice below it.  WHAT is for errors.
 */
struct crash_cut;
int disk_method_cut (lua_State *L);
int disk_method_mark (lua_State *L);
int disk_method_states (lua_State *L);
int disk_method_history (lua_State *L);
int disk_method_power_on (lua_State *L);
void to_cut (lua_State *L, const char *what, struct crash_cut *cut);

/* lua/stats.c: what was counted. */
int disk_method_stats (lua_State *L);

#endif /* LUA_METHOD_H */
