#!/usr/bin/env bash
# Train two models and compare them. About four minutes on two cores; no download.
# Usage: examples/evaluate.sh [OUTPUT_FOLDER]
set -euo pipefail
out=${1:-runs/evaluate}

# --eval-every keeps the model with the best Fréchet distance, measured on training images, as best.safetensors.
gan train --variant vanilla --out "$out/vanilla" --resume auto --eval-every 1000
gan train --variant cgan --out "$out/cgan" --resume auto --epochs 5

# One table of both models, compared with real images; --json for programs.
gan evaluate "$out/vanilla" "$out/cgan" -n 2000 --neighbours "$out/nearest.png"
