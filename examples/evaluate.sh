#!/usr/bin/env bash
# Which of two models is better, and did a longer training help? About four minutes on two cores; no download.
# Usage: examples/evaluate.sh [OUTPUT_FOLDER]
set -euo pipefail
out=${1:-runs/evaluate}

# --eval-every keeps the best model by Fréchet distance, measured on training pictures, as best.safetensors.
gan train --variant vanilla --out "$out/vanilla" --resume auto --eval-every 1000
gan train --variant cgan --out "$out/cgan" --resume auto --epochs 5

# One table of both, beside what real pictures score; --json for programs.
gan evaluate "$out/vanilla" "$out/cgan" -n 2000 --neighbours "$out/nearest.png"
