#!/usr/bin/env bash
# Which lines and branches of kernels/cuda the tests of tests/cuda_host go through, by gcov.
#
#   tests/cuda_coverage.sh [--branches] [--filter TESTS] [FOLDER]   builds in FOLDER (build/coverage), runs, reports
#
#   --branches       also lists every branch that was never taken
#   --filter TESTS   only the tests of this GoogleTest filter
#
# Needs what tests/run.sh installs. Exit code 1 where a line was not run. Counts of all instances of a
# template and of all files that include a header are added up; what only exceptions go through does not count.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
branches=0
filter='*'
while [ $# -gt 0 ]; do
  case $1 in
    --branches) branches=1 ;;
    --filter)
      [ -n "${2:-}" ] || { echo "tests/cuda_coverage.sh: --filter expects the names of tests" >&2; exit 2; }
      filter=$2
      shift
      ;;
    -*) echo "tests/cuda_coverage.sh: unknown option '$1'" >&2; exit 2 ;;
    *) break ;;
  esac
  shift
done
build=${1:-$root/build/coverage}

cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DSBM_KERNELS_ONLY=ON -DSBM_CUDA_COVERAGE=ON >/dev/null
ninja -C "$build" cuda_host_coverage_tests
find "$build" -name '*.gcda' -delete
"$build/cuda_host_coverage_tests" --gtest_brief=1 --gtest_filter="$filter"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Of each source line: executable or not, run or not; of each of its branches: taken or not.
# The compiler may have been told of the sources relative to its own folder.
build=$(cd "$build" && pwd)
find "$build" -name '*.gcda' | sort | while read -r data; do
  (cd "$build" && gcov --stdout --branch-probabilities --branch-counts "$data" 2>/dev/null)
done | awk -v root="$root/" '
  / *-: *0:Source:/ {
    sub(/.*Source:/, "")
    file = index($0, root) == 1 ? substr($0, length(root) + 1) : $0
    sub(/^(\.\.\/)+/, "", file)
    wanted = file ~ /^kernels\/cuda\//
    next
  }
  !wanted { next }
  /^ *[-#=0-9*]+: *[0-9]+:/ {
    split($0, part, ":")
    count = part[1]
    line = part[2] + 0
    gsub(/[ *]/, "", count)
    # "=====": only what destroys objects when something throws.
    if (line > 0 && count !~ /^[-=]+$/) print "line", file, line, (count ~ /^[0-9]+$/ && count + 0 > 0)
    next
  }
  /^branch .*\(throw\)/ { next }
  /^branch / { print "branch", file, line ":" $2, ($3 == "taken" && $4 + 0 > 0) }
' | LC_ALL=C sort -u >"$work/seen"

awk -v branches="$branches" '
  { key = $2 " " $3; files[$2]; if ($4 > best[$1, key]) best[$1, key] = $4; known[$1, key] = 1 }
  END {
    for (entry in known) {
      split(entry, part, SUBSEP)
      split(part[2], place, " ")
      ++all[part[1], place[1]]
      ++total[part[1]]
      if (best[part[1], part[2]] > 0) { ++hit[part[1], place[1]]; ++hits[part[1]] }
      else if (part[1] == "line") print "9 not run: " place[1] ":" place[2]
      else if (branches) print "8 never taken: " place[1] ":" place[2]
    }
    for (file in files)
      printf "1 %-52s %4d of %4d lines  %4d of %4d branches\n", file, hit["line", file], all["line", file],
             hit["branch", file], all["branch", file]
    printf "7 %d of %d lines (%.1f %%), %d of %d branches (%.1f %%)\n", hits["line"], total["line"],
           100 * hits["line"] / total["line"], hits["branch"], total["branch"],
           100 * hits["branch"] / total["branch"]
  }' "$work/seen" | LC_ALL=C sort -k 1,1n -k 2 | sed 's/^[0-9] //' >"$work/report"
cat "$work/report"

# What stands behind SBM_CUDA_HOST and __CUDA_ARCH__.
echo "lines that only nvcc sees:"
(cd "$root" && awk '
  FNR == 1 { depth = 0; device = 0 }
  /^#if/ { ++depth; if (/__CUDA_ARCH__/ || /ndef SBM_CUDA_HOST/) { device = depth; first = FNR + 1 }
           if (/ifdef SBM_CUDA_HOST/) host = depth }
  /^#else/ && depth == host { device = depth; first = FNR + 1; host = 0; next }
  (/^#else/ || /^#endif/) && depth == device { print "  " FILENAME ":" first "-" FNR - 1; device = 0 }
  /^#endif/ { --depth }' kernels/cuda/*.cu kernels/cuda/*.cuh kernels/cuda/*.h)

! grep -q '^not run' "$work/report"
