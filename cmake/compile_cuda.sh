#!/bin/sh
# compile_cuda.sh LOG COMMAND...: runs nvcc, keeps what it prints (registers and spills, one report a
# kernel) in LOG, and shows it only when it fails.
log=$1
shift
"$@" >"$log" 2>&1 && exit 0
code=$?
grep -v '^ptxas info\|bytes stack frame' "$log" >&2
rm -f "$log"
exit "$code"
