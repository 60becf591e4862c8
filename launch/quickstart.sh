#!/usr/bin/env bash
# From nothing to a trained SBM-Transformer: installs what is missing, builds, trains on short ListOps with
# two MPI ranks, evaluates on the test split, and writes a report. About seven minutes on two cores.
#
#   ./launch/quickstart.sh [--build-only] [--cuda | --cpu]
#
#   --build-only   install and build, and stop there
#   --cuda         build the program that computes on GPUs too (1.9 GB more to download); so does a machine
#                  with a GPU without asking
#   --cpu          build the program for the CPU alone, whatever the machine has
#
# Run it again and it goes on where it stopped; a finished run is only evaluated again. The run folder is
# runs/quickstart: remove it to train anew.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
config=configs/quickstart.textproto
run=runs/quickstart
preset=release
ranks=2
build_space=1000   # MB of the build tree and of what ccache keeps of it, measured and rounded up
build_only=no

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }
step() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
fail() {
  printf 'quickstart: error: %s\n' "$1" >&2
  exit "${2:-1}"
}

while [ $# -gt 0 ]; do
  case $1 in
    --build-only) build_only=yes ;;
    --cuda) preset=cuda ;;
    --cpu) preset=cpu ;;
    -h | --help) usage; exit 0 ;;
    *) fail "unknown option '$1'; known are --build-only, --cuda, --cpu and --help" 2 ;;
  esac
  shift
done

gpus=0
[ "$preset" = cpu ] || gpus=$("$root/launch/count_gpus.sh")
[ "$gpus" -eq 0 ] || preset=cuda
[ "$preset" != cpu ] || preset=release
# A GPU has one rank.
[ "$gpus" -ne 1 ] || ranks=1
sbm=build/$preset/sbm

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then bold=$'\e[1m' plain=$'\e[0m'; fi

# mpirun refuses root, and copies between address spaces that containers often forbid, unless told otherwise.
mpirun_line="mpirun --bind-to none -n $ranks"
if [ "$(id -u)" -eq 0 ]; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  mpirun_line="mpirun --allow-run-as-root --bind-to none -n $ranks"
fi
export OMPI_MCA_btl_vader_single_copy_mechanism=none
# Two ranks on any machine, also on one with a single core; cores are shared out by sbm itself.
mpirun_sbm() { mpirun --oversubscribe --bind-to none -n "$ranks" "$sbm" "$@"; }

# number NAME JSON: the value of a number in the program's one-object answer; a dash where it has none.
number() {
  local value
  value=$(grep -oE "\"$1\": *-?[0-9.]+([eE][-+]?[0-9]+)?" <<<"$2" | head -n 1 | sed 's/.*: *//') || true
  echo "${value:--}"
}
percent() { awk -v x="$1" 'BEGIN { if (x == "-") print "-"; else printf "%.1f %%\n", 100 * x }'; }

cd "$root"
step "set-up"
[ ! -x "$sbm" ] || build_space=0
setup_options=(--build-space "$build_space")
[ "$preset" != cuda ] || setup_options+=(--cuda)
./launch/setup.sh "${setup_options[@]}"

step "build (the first one takes some minutes)"
start=$SECONDS
cmake --preset "$preset" >/dev/null || fail "the configuration failed: run 'cmake --preset $preset' to see why"
cmake --build --preset "$preset" --target sbm || fail "the build failed; the compiler's message is above"
echo "built $sbm in $((SECONDS - start)) s"
[ "$build_only" = no ] || exit 0

step "train: short ListOps, $ranks ranks"
start=$SECONDS
code=0
mpirun_sbm train --config "$config" --run-dir "$run" || code=$?
[ "$code" -ne 75 ] || fail "training was stopped after a checkpoint: run this again to continue" 75
[ "$code" -eq 0 ] || fail "training ended with exit code $code; its logs are in $run/logs" "$code"
echo "trained in $((SECONDS - start)) s"

step "evaluate on the test split"
rows=() majority=- samples=-
for mask in learned random rank1 full; do
  answer=$(mpirun_sbm eval --checkpoint "$run" --split test --mask "$mask" --json) || fail "the evaluation with --mask $mask failed" $?
  rows+=("$(printf '%-8s  %10s  %10s' "$mask" "$(percent "$(number accuracy "$answer")")" "$(percent "$(number density "$answer")")")")
  majority=$(number majority_share "$answer")
  samples=$(number samples "$answer")
done
printf '\n%-8s  %10s  %10s\n' mask accuracy density
for row in "${rows[@]}"; do printf '%s\n' "$row"; done
cat <<TEXT

$samples test samples; always answering the commonest class: $(percent "$majority").
learned: the masks that the model samples. random: every cell alike, as many as the layer would have sampled
from what it is given (behind a randomised layer that is another number). rank1: only how visible each query
and each key is. full: every token attends to every other.
TEXT

step "report"
"$sbm" report "$run"

cat <<TEXT

${bold}Go on with${plain}

  # the report in a browser; the average over five masks; what was saved
  xdg-open $run/report.html
  $sbm eval --checkpoint $run --split test --draws 5
  $sbm checkpoint list $run

  # full attention, to compare
  $mpirun_line $sbm train --config $config --run-dir runs/full --set model.attention.type=FULL

  # the published ListOps run, long on a CPU; stop it with kill -USR1 and the process id of
  # mpirun, start it again with the same line
  $mpirun_line $sbm train --config configs/lra/listops.textproto
TEXT
