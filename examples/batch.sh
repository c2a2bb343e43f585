#!/usr/bin/env bash
# A batch job that may be stopped at any time. Run the same script again to resume it.
#
#   GAN_DATA=/scratch/data bash examples/batch.sh runs/mnist-seed0 0
#
# The node needs no internet access: copy the folder MNIST (MNIST/raw/*.gz) into $GAN_DATA first.
set -euo pipefail
out=${1:?usage: batch.sh OUT [SEED]}
seed=${2:-0}

status=0
gan train --variant vanilla --dataset mnist --no-download --seed "$seed" \
    --out "$out" --resume auto --max-time 3h --progress plain 2>>"$out.log" || status=$?

case $status in
    0) gan sample "$out/ckpt.safetensors" -n 64 -o "$out.png" ;;
    75) echo "stopped early, state saved; submit this script again" >&2 ;;
    4) echo "diverged; see $out.log" >&2 ;;
esac
exit "$status"
