#!/usr/bin/env bash
# A minute on a laptop: train on the built-in digits, then look at the model in three ways.
set -euo pipefail

ckpt=$(gan train --out runs/laptop)       # prints the path of the checkpoint
gan sample "$ckpt" -n 64 -o digits.png     # 8 × 8 digits
gan sample "$ckpt" -n 16 --walk 4 -o walk.gif
gan inspect "$ckpt"
