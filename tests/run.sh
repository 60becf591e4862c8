#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test that this machine can run.
#
#   ./tests/run.sh [--quick] [--cuda] [--preset NAME]... [--fuzz SECONDS] [-R REGEX]
#
#   --quick        the optimised build only, without the sanitizers
#   --cuda         also the program that computes on GPUs too: builds it, runs its tests on a GPU where
#                  there is one, and compares what it computes without one; downloads 1.9 GB of CUDA
#                  libraries at the first time. A machine with a GPU has this option without asking
#   --preset NAME  only this build: release, asan (address and undefined behaviour), tsan (threads), cuda or
#                  arm64 (the kernels compiled for 64-bit Arm, run by qemu; not among those that run
#                  without this option); may be given more than once
#   --fuzz SECONDS drives each fuzz target of tests/fuzz for so long, with Clang's libFuzzer and
#                  AddressSanitizer; no other build, unless named
#   -R REGEX       only the tests whose names match, as ctest takes them
#
# Ends with a table and the line "N passed, N failed, N skipped", the sum over all builds; a build that
# fails counts as one failed test. Exit code 0: nothing failed. Test logs: build/<preset>/Testing/.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
presets=()
pattern=
fuzz_seconds=
cuda=no

# Disk space in MB of the build trees and of what ccache keeps of them, measured and rounded up.
declare -A tree_space=([release]=1300 [asan]=1600 [tsan]=200 [arm64]=100 [fuzz]=300 [cuda]=500)

# What the tests of the preset cuda need.
cuda_targets=(sbm kernels_torch_tests launch_tests)

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }
refuse() {
  echo "tests/run.sh: $*; see --help" >&2
  exit 2
}

while [ $# -gt 0 ]; do
  case $1 in
    --quick) presets+=(release) ;;
    --cuda) cuda=yes ;;
    --preset)
      [[ ${2:-} =~ ^(release|asan|tsan|arm64|cuda)$ ]] || refuse "--preset expects release, asan, tsan, arm64 or cuda, found '${2:-}'"
      presets+=("$2")
      shift
      ;;
    --fuzz)
      [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || refuse "--fuzz expects a number of seconds, found '${2:-}'"
      fuzz_seconds=$2
      presets+=(fuzz)
      shift
      ;;
    -R)
      [ -n "${2:-}" ] || refuse "-R expects a regular expression"
      pattern=$2
      shift
      ;;
    -h | --help) usage; exit 0 ;;
    *) refuse "unknown option '$1'" ;;
  esac
  shift
done
if [ ${#presets[@]} -eq 0 ]; then
  presets=(release asan tsan)
  [ "$("$root/launch/count_gpus.sh")" -eq 0 ] || cuda=yes
fi
case " ${presets[*]} " in *' cuda '*) cuda=no ;; esac
# Behind release, whose program it is compared with.
[ "$cuda" = no ] || presets+=(cuda)

bold='' red='' green='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
  bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
fi
heading() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }

# mpirun refuses root, and copies between address spaces that containers often forbid, unless told otherwise.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_btl_vader_single_copy_mechanism=none
# Ranks that wait for a message let others compute: there may be more ranks than cores.
export OMPI_MCA_mpi_yield_when_idle=1
export CTEST_OUTPUT_ON_FAILURE=1

total_passed=0 total_failed=0 total_skipped=0
rows=()

add_row() { rows+=("$(printf '%-9s %-34s %8s %8s %8s %8s' "$@")"); }

# run_suites PRESET NAME [CTEST ARGUMENT...]: runs ctest and adds its counts to the table.
run_suites() {
  local preset=$1 name=$2 build=$root/build/$1 report start counts tests failed skipped
  shift 2
  report=$build/Testing/$name.xml
  mkdir -p "$build/Testing"
  rm -f "$report"
  start=$SECONDS
  [ -z "$pattern" ] || set -- "$@" -R "$pattern"
  "${launcher[@]}" ctest --test-dir "$build" -j "$(nproc)" --output-junit "$report" "$@" || true
  # <testsuite name="..." tests="12" failures="0" disabled="0" skipped="1" ...>, an attribute a line
  counts=$(cat "$report" 2>/dev/null | tr '\n\t' '  ' | grep -oE '<testsuite [^>]*>' | head -n 1) || true
  count_of() { grep -oE " $1=\"[0-9]+\"" <<<"$counts" | grep -oE '[0-9]+'; }
  tests=$(count_of tests) && failed=$(count_of failures) && skipped=$(( $(count_of skipped) + $(count_of disabled) )) || {
    echo "tests/run.sh: ctest wrote no report $report" >&2
    total_failed=$((total_failed + 1))
    add_row "$preset" "$name" "$((SECONDS - start)) s" - 1 -
    return 0
  }
  total_passed=$((total_passed + tests - failed - skipped))
  total_failed=$((total_failed + failed))
  total_skipped=$((total_skipped + skipped))
  add_row "$preset" "$name" "$((SECONDS - start)) s" "$((tests - failed - skipped))" "$failed" "$skipped"
}

# build PRESET [TARGET...]: configures and builds one preset, whole or these targets; false, with a row in
# the table, where that fails.
build() {
  local preset=$1 start=$SECONDS targets=()
  shift
  [ $# -eq 0 ] || targets=(--target "$@")
  heading "build $preset"
  if cmake --preset "$preset" && cmake --build --preset "$preset" "${targets[@]}"; then
    add_row "$preset" build "$((SECONDS - start)) s" - - -
  else
    total_failed=$((total_failed + 1))
    add_row "$preset" "build FAILED" "$((SECONDS - start)) s" - 1 -
    return 1
  fi
}

# Sanitizers lay out memory in fixed places, which some kernels' address randomisation gets in the way
# of. Sets `launcher` to a way of starting that works here, or is false where there is none.
find_launcher() {
  local probe=$root/build/$1/base_tests probe_options=--gtest_list_tests
  [ "$1" != fuzz ] || probe=$root/build/fuzz/tokenizer_fuzz probe_options=-help=1
  local command
  for command in "env" "setarch $(uname -m) -R"; do
    read -ra launcher <<<"$command"
    # Randomisation fails now and then only, so one success says little.
    local good=0
    while [ "$good" -lt 8 ] && "${launcher[@]}" "$probe" "$probe_options" >/dev/null 2>&1; do
      good=$((good + 1))
    done
    [ "$good" -lt 8 ] || return 0
  done
  return 1
}

test_release() {
  launcher=(env)
  build release || return 0
  heading "test release"
  run_suites release all
}

# Its objects are those of release but for the few that know CUDA, so the tests of release are not run once more.
test_cuda() {
  launcher=(env)
  build cuda "${cuda_targets[@]}" || return 0
  heading "test cuda"
  if [ -n "$pattern" ]; then
    run_suites cuda "those built"
    return 0
  fi
  run_suites cuda "on a GPU" -L '^gpu$'
  run_suites cuda "without a GPU" -R '^CudaProgram'
}

# Floors without LibTorch are checked for leaks too. LibTorch and Open MPI keep memory until the end of the
# process on purpose, and link other allocators' objects, so there these two checks would only report them.
# The suite of the program is left out: hundreds of starts of real ranks, whose code the others cover.
test_asan() {
  build asan || return 0
  heading "test asan"
  if ! find_launcher asan; then
    echo "skipped: a program with AddressSanitizer does not start on this machine"
    total_skipped=$((total_skipped + 1))
    add_row asan "cannot start here" - - - 1
    return 0
  fi
  local leaks=1
  # LeakSanitizer stops the process by ptrace, which containers may forbid.
  ASAN_OPTIONS=detect_leaks=1 "${launcher[@]}" "$root/build/asan/base_tests" --gtest_list_tests >/dev/null 2>&1 || leaks=0
  [ "$leaks" = 1 ] || echo "leak check skipped: this machine does not allow ptrace"
  export UBSAN_OPTIONS=print_stacktrace=1
  export ASAN_OPTIONS=detect_leaks=$leaks:strict_string_checks=1:detect_stack_use_after_return=1
  run_suites asan "base, kernels, data" -L '^(base|kernels|data)$'
  export ASAN_OPTIONS=detect_leaks=0:alloc_dealloc_mismatch=0:detect_odr_violation=0
  run_suites asan "distributed, kernels_torch, trainer" -L '^(distributed|kernels_torch|trainer)$'
  unset ASAN_OPTIONS UBSAN_OPTIONS
}

test_tsan() {
  build tsan || return 0
  heading "test tsan"
  if ! find_launcher tsan; then
    echo "skipped: a program with ThreadSanitizer does not start on this machine"
    total_skipped=$((total_skipped + 1))
    add_row tsan "cannot start here" - - - 1
    return 0
  fi
  TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=\"$root/tests/tsan_suppressions.txt\" \
    run_suites tsan "base, kernels, data"
}

# The laws' statistics say nothing new about equal bits, and take long in an emulator.
test_arm64() {
  build arm64 || return 0
  heading "test arm64"
  launcher=(env)
  run_suites arm64 "kernels (qemu)" -L '^kernels$' -E 'Sampler(Linear)?Law'
}

# An input that ends the process, takes 60 s or asks for 256 MB at once is kept and counts as one
# failed test.
test_fuzz() {
  build fuzz || return 0
  if ! find_launcher fuzz; then
    echo "skipped: a program with AddressSanitizer does not start on this machine"
    total_skipped=$((total_skipped + 1))
    add_row fuzz "cannot start here" - - - 1
    return 0
  fi
  local folder target seeds start executions
  for seeds in "$root"/tests/fuzz/seeds/*; do
    target=$(basename "$seeds")
    folder=$root/build/fuzz/runs/$target
    heading "fuzz $target"
    mkdir -p "$folder/corpus" "$folder/failures" "$folder/temporary"
    start=$SECONDS
    if TMPDIR=$folder/temporary "${launcher[@]}" "$root/build/fuzz/${target}_fuzz" \
      -max_total_time="$fuzz_seconds" -max_len=32768 -timeout=60 -malloc_limit_mb=256 -rss_limit_mb=1024 \
      -print_final_stats=1 -verbosity=0 -artifact_prefix="$folder/failures/" "$folder/corpus" "$seeds" \
      >"$folder/log" 2>&1; then
      executions=$(grep -oE 'number_of_executed_units: [0-9]+' "$folder/log" | grep -oE '[0-9]+')
      echo "$executions executions without a failure"
      total_passed=$((total_passed + 1))
      add_row fuzz "$target, $executions executions" "$((SECONDS - start)) s" 1 0 0
    else
      tail -n 40 "$folder/log"
      total_failed=$((total_failed + 1))
      add_row fuzz "$target FAILED" "$((SECONDS - start)) s" 0 1 0
    fi
    rm -rf "$folder/temporary"
  done
}

space=0
setup_options=()
for preset in "${presets[@]}"; do
  [ -e "$root/build/$preset/build.ninja" ] || space=$((space + tree_space[$preset]))
  [ "$preset" != arm64 ] || setup_options+=(--arm64)
  [ "$preset" != release ] || setup_options+=(--cuda-compiler)
  [ "$preset" != cuda ] || setup_options+=(--cuda)
  [ "$preset" != fuzz ] || setup_options+=(--fuzz)
done
"$root/launch/setup.sh" "${setup_options[@]}" --build-space "$space"

cd "$root"
for preset in "${presets[@]}"; do "test_$preset"; done

heading "summary"
printf '%-9s %-34s %8s %8s %8s %8s\n' build suites time passed failed skipped
for row in "${rows[@]}"; do
  printf '%s\n' "$row"
done

if [ -n "$pattern" ] && [ $((total_passed + total_failed + total_skipped)) -eq 0 ]; then
  echo "tests/run.sh: no test matches '$pattern'" >&2
  exit 2
fi
colour=$green
[ "$total_failed" -eq 0 ] || colour=$red
printf '\n%s%d passed, %d failed, %d skipped%s\n' "$colour" "$total_passed" "$total_failed" "$total_skipped" "$plain"
[ "$total_failed" -eq 0 ]
