/* status.c - memctl --status: one table of what the disk and the rules have done.
 *
 * The server makes the table, because it has the numbers, and Lua to format them.
 * What a server of another version does not have is left out.
 */

#include <stdlib.h>
#include <string.h>

#include "control/client.h"
#include "control/commands.h"

static const char chunk[] =
  "local out, add = {}, table.insert\n"
  "local stats, rules = disk:stats(), fault.list()\n"
  "local function bytes(n)\n"
  "  local i, unit = 0, ''\n"
  "  while n >= 1024 and i < 6 do\n"
  "    i, n = i + 1, n / 1024\n"
  "    unit = ('KMGTPE'):sub(i, i)\n"
  "  end\n"
  "  return (n % 1 == 0 and '%d%s' or '%.1f%s'):format(n, unit)\n"
  "end\n"
  "local function time(t)\n"
  "  if t < 0.9995e-6 then return '<1 us' end\n"
  "  if t < 0.9995e-3 then return ('%.0f us'):format(t * 1e6) end\n"
  "  if t < 0.99995 then return ('%.1f ms'):format(t * 1e3) end\n"
  "  return ('%.1f s'):format(t)\n"
  "end\n"
  "local function count(n) return ('%d'):format(n) end\n"
  /* The member of an object that may have no such member. */
  "local function member(t, name)\n"
  "  local ok, value = pcall(function() return t[name] end)\n"
  "  return ok and value or nil\n"
  "end\n"
  "local columns = {\n"
  "  { 'requests', 9, 'requests', count }, { 'bytes', 10, 'bytes', bytes },\n"
  "  { 'errors', 9, 'errors', count }, { 'waiting', 10, 'waiting', count },\n"
  "  { 'mean', 11, 'latency', time }, { 'max', 11, 'latency_max', time },\n"
  "}\n"
  /* Without what hangs, there is no column for it. */
  "local waiting\n"
  "local ops = { 'read', 'write', 'flush', 'trim', 'zero', 'extents', 'cache' }\n"
  "for _, op in ipairs(ops) do\n"
  "  waiting = waiting or (stats[op].waiting or 0) > 0\n"
  "end\n"
  "if not waiting then table.remove(columns, 4) end\n"
  "local function row(name, width, cell)\n"
  "  local line = { ('%-' .. width .. 's'):format(name) }\n"
  "  for _, c in ipairs(columns) do\n"
  "    add(line, ('%' .. c[2] .. 's'):format(cell(c)))\n"
  "  end\n"
  "  add(out, table.concat(line))\n"
  "end\n"
  "add(out, ('disk  %s, %s in memory'):format(bytes(disk.size),\n"
  "    bytes(stats.allocated)))\n"
  /* Without power, nothing is unflushed. */
  "local u = stats.unflushed\n"
  "if stats.power == 'off' then\n"
  "  add(out, 'power off')\n"
  "elseif u then\n"
  "  add(out, ('cache %s unflushed: requests %d, sectors %d'):format(\n"
  "      bytes(u.bytes), u.requests, u.sectors))\n"
  "end\n"
  "add(out, '')\n"
  "local head\n"
  "for _, op in ipairs(ops) do\n"
  "  local s = stats[op]\n"
  "  if s.requests > 0 or (s.waiting or 0) > 0 then\n"
  "    if not head then\n"
  "      row('', 13, function(c) return c[1] end)\n"
  "      head = true\n"
  "    end\n"
  "    row(op, 13, function(c) return c[4](s[c[3]]) end)\n"
  "  end\n"
  "end\n"
  "if not head then add(out, 'no requests yet') end\n"
  "add(out, '')\n"
  "local width = 24\n"
  "local names = {}\n"
  "for i, r in ipairs(rules) do\n"
  "  names[i] = r.name:gsub('%c', '?')\n"
  "  width = math.max(width, utf8.len(names[i]) or #names[i])\n"
  "end\n"
  "local line = '%s%8s%12s%10s%s'\n"
  "local function pad(name)\n"
  "  return name .. (' '):rep(width - (utf8.len(name) or #name))\n"
  "end\n"
  "if rules[1] then\n"
  "  add(out, line:format(pad('rule'), 'state', 'hits', 'fired', ''))\n"
  "else\n"
  "  add(out, 'no fault rules')\n"
  "end\n"
  "for i, r in ipairs(rules) do\n"
  "  local hanging = member(r, 'hanging') or 0\n"
  "  add(out, line:format(pad(names[i]), r.state, r.hits, r.fired,\n"
  "    hanging > 0 and ('   %d hanging'):format(hanging)\n"
  "    or r.fired == 0 and not member(r, 'optional') and '   never fired' or ''))\n"
  "end\n"
  "return table.concat(out, '\\n')";

int
command_status (void)
{
  static const char result[] = "{\"result\":\"";
  size_t n;
  char *answer = client_ask (chunk, sizeof chunk - 1, &n);
  int status = client_error (answer);

  if (strncmp (answer, result, sizeof result - 1) == 0) {
    client_print (answer + sizeof result - 2, stdout);
    putchar ('\n');
    if (fflush (stdout) != 0) {
      perror ("memctl: standard output");
      status = FAILED;
    }
  }
  free (answer);
  return status;
}
