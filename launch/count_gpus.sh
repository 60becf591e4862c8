#!/usr/bin/env bash
# Prints how many NVIDIA GPUs this machine has: by its driver's tool, else by the device files.
set -euo pipefail
count=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU ') || count=0
[ "$count" -gt 0 ] || count=$(find /dev -maxdepth 1 -name 'nvidia[0-9]*' 2>/dev/null | wc -l)
echo "$count"
