/* units.c - numbers with their units, for people. */

#include <stdio.h>
#include <string.h>

#include "control/units.h"

const char *
units_time (char *buf, double s)
{
  static const struct { double least, unit; const char *name; } units[] = {
    { 7200, 3600, "h" }, { 600, 60, "min" }, { 0.9995, 1, "s" }, { 0.9995e-3, 1e-3, "ms" },
    { 0.9995e-6, 1e-6, "\xC2\xB5s" }, { 0, 1e-9, "ns" },
  };
  size_t i = 0;
  double n;

  if (s <= 0)
    return memcpy (buf, "0 s", 4);
  while (s < units[i].least)
    i++;
  n = s / units[i].unit;
  snprintf (buf, UNITS_SIZE, "%.*f %s", n < 9.995 ? 2 : n < 99.95 ? 1 : 0, n, units[i].name);
  return buf;
}

const char *
units_bytes (char *buf, uint64_t n)
{
  static const char units[] = "KMGTPE";
  int unit = -1;

  for (; n > 0 && n % 1024 == 0 && units[unit + 1]; unit++)
    n /= 1024;
  if (unit < 0)
    snprintf (buf, UNITS_SIZE, "%llu", (unsigned long long) n);
  else
    snprintf (buf, UNITS_SIZE, "%llu%c", (unsigned long long) n, units[unit]);
  return buf;
}
