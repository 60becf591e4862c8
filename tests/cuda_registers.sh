#!/usr/bin/env bash
# What ptxas says of every kernel, against the limits in tests/cuda_registers.tsv.
#
#   tests/cuda_registers.sh FOLDER            checks; FOLDER holds the objects' *.ptxas
#   tests/cuda_registers.sh --update FOLDER   writes the table anew
#
# A line of the table: kernel, architecture, registers a thread (rounded up to a multiple of 8, as the
# hardware hands them out), static shared bytes. No kernel may spill or have a stack frame.
set -euo pipefail

table=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/cuda_registers.tsv
update=no
if [ "${1:-}" = --update ]; then
  update=yes
  shift
fi
[ -d "${1:-}" ] || { echo "cuda_registers.sh: a folder with *.ptxas expected, found '${1:-}'" >&2; exit 2; }

# kernel, architecture, registers, shared bytes, stack frame, spilled bytes: one line an instance.
found() {
  cat "$1"/*.ptxas | awk '
    /Compiling entry function/ { split($0, part, "\047"); kernel = part[2]; target = part[4] }
    /bytes stack frame/ { stack = $1; spills = $5 + $9 }
    /Used [0-9]+ registers/ {
      registers = shared = 0
      for (i = 2; i <= NF; ++i) {
        if ($i ~ /^registers/) registers = $(i - 1)
        if ($i ~ /^smem/) shared = $(i - 2)
      }
      printf "%s\t%s\t%d\t%d\t%d\t%d\n", kernel, target, int((registers + 7) / 8) * 8, shared, stack, spills
    }' | c++filt -p | sed -E 's/sbm::kernels::cuda:://g; s/\(anonymous namespace\):://g; s/^void //' |
    sed -E $'s/^[a-z]+ +([^\t]*)/\\1/' | LC_ALL=C sort
}

if [ "$update" = yes ]; then
  found "$1" | cut -f 1-4 >"$table"
  echo "$(wc -l <"$table") kernels in $table"
  exit 0
fi

found "$1" | awk -F '\t' '
  NR == FNR { registers[$1 FS $2] = $3; shared[$1 FS $2] = $4; next }
  {
    ++count
    key = $1 FS $2
    bad = ""
    if ($5 + 0 > 0) bad = bad " " $5 " bytes of stack frame;"
    if ($6 + 0 > 0) bad = bad " " $6 " bytes spilt;"
    if (!(key in registers)) bad = bad " not in the table;"
    else {
      if ($3 > registers[key] + 0) bad = bad " " $3 " registers, at most " registers[key] " expected;"
      if ($4 > shared[key] + 0) bad = bad " " $4 " bytes of shared memory, at most " shared[key] " expected;"
    }
    if (bad != "") { ++failures; print $1 " (" $2 "):" bad }
    seen[key] = 1
  }
  END {
    for (key in registers) if (!(key in seen)) { ++failures; print key ": in the table, but not built" }
    printf "%d kernels, %d complaints\n", count, failures
    if (failures > 0) print "tests/cuda_registers.sh --update FOLDER writes the table anew"
    exit failures > 0
  }' "$table" -
