#!/usr/bin/env bash
# Runs on a GPU what docs/gpu-checklist.md names as the `Command:` of a check, and writes a record in Markdown.
#
#   tests/gpu.sh --pack FOLDER       copies what the checks need out of build/release and, where it is built,
#                                    build/cuda into FOLDER, at most 60 MiB; carry that to the machine with the GPU
#   FOLDER/gpu.sh [--record FILE]    runs there: no network, no MPI, no compiler; writes record.md
#
# The operators on LibTorch's tensors need that machine's own LibTorch 2.11 for CUDA 13: the folder SBM_TORCH_DIR
# (with lib/), or the one that its python3 imports.
#
# The commands are those that the checklist names, run in FOLDER, together for less than 8 minutes. A check
# whose program was not packed is skipped, and so is everything, with the reason, where there is no GPU.
# Exit code 0: nothing failed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
limit_mib=60
limit_seconds=480

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }
refuse() {
  echo "gpu.sh: $*; see --help" >&2
  exit 2
}

pack() {
  local folder=$1 root build cuda programs
  root=$(cd "$here/.." && pwd)
  build=$root/build/release cuda=$root/build/cuda
  [ -x "$build/cuda_device_tests" ] || refuse "expected $build/cuda_device_tests; build the target cuda_device_tests"
  mkdir -p "$folder/tests/kernels"
  programs=("$build/cuda_device_tests")
  strip -o "$folder/cuda_device_tests" "$build/cuda_device_tests"
  mkdir -p "$folder/lib"
  if [ -x "$cuda/kernels_torch_tests" ]; then
    strip -o "$folder/kernels_torch_tests" "$cuda/kernels_torch_tests"
    strip -o "$folder/lib/libsbm_kernels_torch.so" "$cuda/kernels/libsbm_kernels_torch.so"
    programs+=("$cuda/kernels_torch_tests")
  else
    echo "not packed: kernels_torch_tests, which is not in $cuda; ./tests/run.sh --cuda builds it"
  fi
  # What that machine need not have.
  for program in "${programs[@]}"; do ldd "$program"; done | awk '$1 ~ /^lib(hwy|xxhash)/ { print $3 }' | sort -u |
    while read -r library; do cp -L "$library" "$folder/lib/$(basename "$library")"; done
  cp -r "$root/tests/kernels/golden" "$folder/tests/kernels/"
  cp "$root/tests/gpu.sh" "$root/docs/gpu-checklist.md" "$folder/"
  local mib
  mib=$(du -sm "$folder" | cut -f 1)
  [ "$mib" -le "$limit_mib" ] || refuse "$folder has $mib MiB, at most $limit_mib expected"
  echo "packed $mib MiB into $folder"
}

record=$here/record.md
case ${1:-} in
  -h | --help) usage; exit 0 ;;
  --pack)
    [ -n "${2:-}" ] || refuse "--pack expects a folder"
    pack "$2"
    exit 0
    ;;
  --record)
    [ -n "${2:-}" ] || refuse "--record expects a file"
    record=$2
    ;;
  '') ;;
  *) refuse "unknown option '$1'" ;;
esac

cd "$here"
torch=${SBM_TORCH_DIR:-$(python3 -c 'import os, torch; print(os.path.dirname(torch.__file__))' 2>/dev/null)} || torch=
# pip lays NVIDIA's libraries beside torch.
libraries=$here/lib
for folder in ${torch:+"$torch/lib" "$torch"/../nvidia/*/lib}; do libraries+=:$folder; done
export LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
[ -x ./cuda_device_tests ] || refuse "expected cuda_device_tests beside this script; --pack makes such a folder"
if ! device=$(./cuda_device_tests --device); then
  echo "skipped: $device"
  exit 0
fi

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
# "claim<TAB>command" of each item of the checklist.
awk '
  function flush() { if (command != "") print claim "\t" command; claim = command = "" }
  /^- \[[ x]\] / { flush(); claim = substr($0, 7); next }
  claim != "" && /^ +Command: `/ { command = $0; sub(/^ +Command: `/, "", command); sub(/`\.?$/, "", command); next }
  claim != "" && /^ / { line = $0; sub(/^ +/, "", line); if (command == "") claim = claim " " line; next }
  { flush() }
  END { flush() }' gpu-checklist.md >"$logs/items"

failed=0
{
  echo "# Record of $(date -u +%Y-%m-%dT%H:%M:%SZ)"
  echo
  echo "$device"
  echo
  echo "| check | command | result | seconds |"
  echo "|---|---|---|---|"
} >"$record"
start=$SECONDS
number=0
while IFS=$'\t' read -r claim command; do
  number=$((number + 1))
  began=$SECONDS
  left=$((limit_seconds - (SECONDS - start)))
  program=$(grep -oE '(^| )\./[^ ]+' <<<"$command" | head -n 1 | tr -d ' ' || true)
  if [ -n "$program" ] && [ ! -x "$program" ]; then
    result="skipped: $program was not packed"
  elif [ -n "$program" ] && lacking=$(ldd "$program" 2>/dev/null | awk '/not found/ { printf "%s ", $1 }') && [ -n "$lacking" ]; then
    result="skipped: $program lacks ${lacking% }; is there a LibTorch 2.11 for CUDA 13? (SBM_TORCH_DIR)"
  elif [ "$left" -le 0 ]; then
    result="skipped: the $limit_seconds s are over"
    failed=$((failed + 1))
  else
    code=0
    timeout "$left" bash -c "$command" >"$logs/$number" 2>&1 </dev/null || code=$?
    case $code in
      0)
        # A filter that finds nothing, or tests that all skip themselves, confirm nothing.
        passed=$(grep -oE '^\[  PASSED  \] [0-9]+' "$logs/$number" | grep -oE '[0-9]+$' || true)
        if [ "${passed:-0}" -gt 0 ]; then
          result="passed ($passed tests)"
        else
          result="FAILED: no test ran: $(grep -m1 SKIPPED "$logs/$number" || tail -n 1 "$logs/$number")"
          failed=$((failed + 1))
        fi
        ;;
      77) result="skipped: $(tail -n 1 "$logs/$number")" ;;
      *)
        result="FAILED, exit code $code"
        failed=$((failed + 1))
        ;;
    esac
  fi
  echo "| $claim | \`$command\` | $result | $((SECONDS - began)) |" >>"$record"
  echo "$result: $command"
done <"$logs/items"
for log in "$logs"/[0-9]*; do
  [ -s "$log" ] || continue
  printf '\n## Check %s, last lines\n\n```\n%s\n```\n' "$(basename "$log")" "$(tail -n 15 "$log")"
done >>"$record"
echo "$number checks, $failed failed; the record is $record"
[ "$failed" -eq 0 ]
