#!/usr/bin/env bash
# A minute on a laptop: train on digits that the program draws itself, then look at them in three ways.
set -euo pipefail

ckpt=$(gan train --out runs/laptop)       # prints the checkpoint's path when it is done
gan sample "$ckpt" -n 64 -o digits.png     # 8 × 8 digits
gan sample "$ckpt" -n 16 --walk 4 -o walk.gif
gan inspect "$ckpt"
