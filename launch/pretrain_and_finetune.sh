#!/usr/bin/env bash
# What pretraining is worth: pretrains a small model on text (configs/pretrain/imdb_small.textproto), fine-tunes it on
# tasks of GLUE, trains the same model on them from scratch, and prints both, mean and spread over some seeds.
#
#   ./launch/pretrain_and_finetune.sh --text DIR --glue DIR --vocab FILE [--out DIR] [--tasks "sst-2 mrpc"]
#                                     [--seeds N] [--ranks N] [--steps N] [--epochs N]
#
#   --text    aclImdb, a folder with unsup.tsv and train.tsv, or with *.txt (docs/data-text.md)
#   --glue    the folder that holds SST-2, MRPC and CoLA as they are published
#   --vocab   vocab.txt of BERT, uncased
#   --out     everything goes there (runs/finetuning)
#   --tasks   of cola, sst-2 and mrpc (sst-2 mrpc)
#   --seeds   runs of each kind, with seeds 0, 1, ... (3)
#   --ranks   1, 2 or 4 (2); the numbers do not depend on it
#   --steps   of pretraining (those of the configuration), a twentieth of them to warm up
#   --epochs  of each task (sst-2 1, mrpc 5, cola 5)
#
# Both kinds have the same model, data order, learning rate and steps, and differ in nothing but where they start. A run is
# evaluated at its end, on the validation split; no checkpoint is chosen by it. Stop this at any time and run it again: it
# goes on where it was.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
sbm=$root/build/release/sbm
text='' glue='' vocab='' out=runs/finetuning tasks="sst-2 mrpc" seeds=3 ranks=2 steps='' epochs=''

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }
step() { printf '\n== %s\n' "$*"; }
fail() {
  printf 'pretrain_and_finetune: error: %s\n' "$1" >&2
  exit "${2:-1}"
}

while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --text | --glue | --vocab | --out | --tasks | --seeds | --ranks | --steps | --epochs)
      [ $# -ge 2 ] || fail "$1: expected a value" 2
      printf -v "${1#--}" '%s' "$2"
      shift 2 ;;
    *) fail "unknown option '$1'; --help lists them" 2 ;;
  esac
done
for name in text glue vocab; do
  [ -n "${!name}" ] || fail "expected --$name; --help says what it is" 2
  [ -e "${!name}" ] || fail "--$name: expected a file or folder, found nothing at ${!name}" 2
  printf -v "$name" '%s' "$(realpath "${!name}")"
done
[ -x "$sbm" ] || fail "expected the built program at $sbm; ./launch/quickstart.sh --build-only builds it" 2
mkdir -p "$out"
out=$(realpath "$out")
cd "$root"

if [ "$(id -u)" -eq 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
export OMPI_MCA_btl_vader_single_copy_mechanism=none
train() {
  local code=0
  mpirun --oversubscribe --bind-to none -n "$ranks" "$sbm" train "$@" || code=$?
  [ "$code" -eq 0 ] || fail "training ended with exit code $code; the same command goes on" "$code"
}
# number NAME JSON: the value of a number in the program's one-object answer; nothing where it has none.
number() { grep -oE "\"$1\": *-?[0-9.]+([eE][-+]?[0-9]+)?" <<<"$2" | head -n 1 | sed 's/.*: *//' || true; }
# mean_and_spread NUMBERS: of at least one number, with the standard deviation of a sample.
mean_and_spread() {
  awk '{ for (i = 1; i <= NF; ++i) { s += $i; q += $i * $i }; m = s / NF
         d = NF > 1 ? (q - NF * m * m) / (NF - 1) : 0; printf "%.4f (%.4f)", m, sqrt(d > 0 ? d : 0) }' <<<"$*"
}
setting() { awk -v name="$1:" '$1 == name { print $2; exit }' configs/pretrain/imdb_small.textproto; }

step "data"
build() { "$sbm" data build --task "$1" --source "$2" --vocab "$vocab" --out "$out/datasets/${1//\//-}" --max-length 128; }
build pretrain/mlm "$text"
declare -A folders=([cola]=CoLA [sst-2]=SST-2 [mrpc]=MRPC) metrics=([cola]=matthews [sst-2]=accuracy [mrpc]=f1)
declare -A rows=([cola]=8551 [sst-2]=67349 [mrpc]=3668) usual=([cola]=5 [sst-2]=1 [mrpc]=5)
for task in $tasks; do
  [ -n "${folders[$task]:-}" ] || fail "--tasks: expected some of cola, sst-2 and mrpc, found $task" 2
  build "glue/$task" "$glue/${folders[$task]}"
done

step "pretraining"
pretrained=$out/pretrained
train --config configs/pretrain/imdb_small.textproto --run-dir "$pretrained" \
  --set data.directory="$out/datasets/pretrain-mlm" ${steps:+--set training.steps="$steps" --set training.warmup_steps="$((steps / 20))"}
"$sbm" eval --checkpoint "$pretrained" --split validation

# The model of the pretraining configuration; what else there is to fine-tuning is the same for both kinds.
model=(--set model.head_hidden_dim=128 --set model.attention.clusters="$(setting clusters)")
for field in layers heads head_dim embedding_dim feed_forward_dim max_length; do
  model+=(--set "model.$field=$(setting $field)")
done
batch=32
table=()
for task in $tasks; do
  count=$((${epochs:-${usual[$task]}} * rows[$task] / batch))
  for kind in scratch pretrained; do
    declare -A found=()
    for ((seed = 0; seed < seeds; ++seed)); do
      step "$task, $kind, seed $seed: $count steps"
      run=$out/$task-$kind-$seed
      from=()
      [ "$kind" = scratch ] || from=(--set training.initialize_from="$pretrained")
      train --config "configs/glue/$task.textproto" --run-dir "$run" "${model[@]}" "${from[@]}" \
        --set data.directory="$out/datasets/glue-$task" --set training.seed="$seed" \
        --set training.global_batch_size=$batch --set training.micro_batch_size=8 \
        --set training.steps="$count" --set training.warmup_steps="$((count / 10))" \
        --set training.learning_rate=5e-4 --set training.evaluate_every=0 --set training.log_every=50
      for split in validation test; do
        # Only MRPC's test split may have labels; to ask for others is an error of the data.
        code=0
        answer=$("$sbm" eval --checkpoint "$run" --split $split --draws 5 --json 2>"$out/eval.log") || code=$?
        if [ $code -ne 0 ]; then
          [ "$split" = test ] && [ $code -eq 3 ] && continue
          cat "$out/eval.log" >&2
          exit $code
        fi
        for metric in $(printf '%s\n' "${metrics[$task]}" accuracy | sort -u); do
          found[$split.$metric]="${found[$split.$metric]:-} $(number "$metric" "$answer")"
        done
      done
    done
    for key in "${!found[@]}"; do
      table+=("$(printf '%-7s %-11s %-22s %-18s %s' "$task" "$kind" "$key" "$(mean_and_spread "${found[$key]}")" "${found[$key]}")")
    done
    unset found
  done
done

step "mean (standard deviation) over $seeds seeds, and each"
printf '%-7s %-11s %-22s %-18s %s\n' task start metric 'mean (deviation)' 'by seed'
printf '%s\n' "${table[@]}" | sort -k1,1 -k3,3 -k2,2
