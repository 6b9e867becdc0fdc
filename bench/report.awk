# report.awk - tables from lines "row <TAB> threads <TAB> subject <TAB> value".
#
#     awk -f report.awk -v count=threads -v unit=MB/s -v main=ours \
#         -v against="memcpy sparse" targets values
#
# First what was measured, then the subject MAIN as a multiple of each subject
# AGAINST, with the target beside it.
#
# With count=cost, less is better: the third word of a line is the unit, and
# one table shows the least of each row beside its target.

FNR == NR {
  if ($1 !~ /^#/ && NF == 4)
    target[$1, $2, $3] = $4
  next
}

{
  row = $1 SUBSEP $2
  if (!(row in known)) {
    known[row]
    order[++rows] = row
  }
  if (!($3 in seen)) {
    seen[$3]
    subject[++subjects] = $3
  }
  # The best of the rounds: what is possible when nothing else runs.
  if (value[row, $3] == "" \
      || (count == "cost" ? $4 < value[row, $3] : $4 > value[row, $3]))
    value[row, $3] = $4 + 0
}

# Verdict columns are wide enough for "1.23 >= 1.00 MISSED".
function cell(text, width) { printf "  %" width "s", text }

function head(title, a, b) {
  printf "\n%s\n", title
  printf "%-18s", "row"
  cell(count, 7)
}

function row_name(row, part) {
  split(row, part, SUBSEP)
  printf "%-18s", part[1]
  cell(part[2], 7)
}

# How many thousands, so that columns stay narrow.
function figure(v) {
  if (v == "")
    return "-"
  return v < 100 ? sprintf("%.3f", v) : v < 100000 ? sprintf("%.0f", v) \
    : sprintf("%.0fk", v / 1000)
}

function verdict(ratio, row, what, memory, goal, ok) {
  if ((row, what) in target) {
    goal = target[row, what]
    # A figure is judged as it is printed.
    ratio = sprintf("%.2f", ratio) + 0
    ok = memory ? ratio <= goal + 0 : ratio >= goal + 0
    checked++
    if (!ok)
      missed++
    return sprintf("%6.2f %s %s %-6s", ratio, memory ? "<=" : ">=", goal,
                   ok ? "ok" : "MISSED")
  }
  return sprintf("%6.2f %14s", ratio, "")
}

# What was not measured is not met.
function unmeasured(row, name) {
  if (!((row, name) in target))
    return sprintf("%6s%15s", "-", "")
  checked++
  missed++
  return sprintf("%6s %-14s", "-", "not measured")
}

function is_memory(row) { return row ~ /-memory/ }

function print_values(i, j) {
  head(unit)
  for (j = 1; j <= subjects; j++)
    cell(subject[j], 9)
  print ""
  for (i = 1; i <= rows; i++) {
    row_name(order[i])
    for (j = 1; j <= subjects; j++)
      cell(figure(value[order[i], subject[j]]), 9)
    print ""
  }
}

function ratio_cell(row, name) {
  if (value[row, name] == "" || value[row, main] == "")
    cell(unmeasured(row, name), 21)
  else
    cell(verdict(value[row, main] / value[row, name], row, name, 0), 21)
}

function print_ratios(i, j, n, names) {
  n = split(against, names, " ")
  head(main " as a multiple of another")
  for (j = 1; j <= n; j++)
    cell(sprintf("%6s%15s", names[j], ""), 21)
  print ""
  for (i = 1; i <= rows; i++) {
    if (is_memory(order[i]))
      continue
    row_name(order[i])
    for (j = 1; j <= n; j++)
      ratio_cell(order[i], names[j])
    print ""
  }
}

# Two threads against one, for all: bare memcpy shows what the machine gives.
function print_scaling(i, j, part, one) {
  head("two threads as a multiple of one")
  for (j = 1; j <= subjects; j++)
    cell(subject[j] == "ours" ? sprintf("%6s%15s", "ours", "") : subject[j],
         subject[j] == "ours" ? 21 : 9)
  print ""
  for (i = 1; i <= rows; i++) {
    split(order[i], part, SUBSEP)
    one = part[1] SUBSEP 1
    if (part[2] != 2 || !(one in known))
      continue
    row_name(order[i])
    for (j = 1; j <= subjects; j++)
      scaling_cell(order[i], one, subject[j])
    print ""
  }
  if (busy)
    printf "In %d row(s) even memcpy scaled less than the target.  " \
      "Something else used the CPUs;\nno figure with two threads " \
      "means much in this run.\n", busy
}

function scaling_cell(two, one, name, ratio) {
  if (value[one, name] == "" || value[two, name] == "") {
    cell("-", name == "ours" ? 21 : 9)
    return
  }
  ratio = value[two, name] / value[one, name]
  if (name == "memcpy" && (two, "threads") in target \
      && ratio < target[two, "threads"])
    busy++
  if (name == "ours")
    cell(verdict(ratio, two, "threads", 0), 21)
  else
    cell(sprintf("%.2f", ratio), 9)
}

function print_memory(i) {
  for (i = 1; i <= rows; i++)
    if (is_memory(order[i]) && value[order[i], "ours"] != "") {
      head("peak memory (VmHWM + VmPTE) as a multiple of the bytes written")
      cell("ours", 6)
      print ""
      row_name(order[i])
      cell(verdict(value[order[i], "ours"], order[i], "bytes", 1), 21)
      print ""
    }
}

# Costs are judged where they are too high.
function print_costs(i, j) {
  printf "\n%-28s  %6s  %9s\n", "cost", "unit", "least"
  for (i = 1; i <= rows; i++)
    for (j = 1; j <= subjects; j++)
      if (value[order[i], subject[j]] != "")
        print_cost(order[i], subject[j], value[order[i], subject[j]])
}

function print_cost(row, name, v, part) {
  split(row, part, SUBSEP)
  printf "%-28s", part[1]
  cell(name, 6)
  cell(sprintf("%.*f", v < 100 ? 2 : 0, v), 9)
  if ((row, name) in target)
    cell(verdict(v, row, name, 1), 21)
  print ""
}

END {
  if (rows == 0)
    exit 1
  if (count == "cost")
    print_costs()
  else {
    print_values()
    print_ratios()
  }
  if (count == "threads") {
    print_scaling()
    print_memory()
  }
  printf "\n%d of %d targets met\n", checked - missed, checked
}
