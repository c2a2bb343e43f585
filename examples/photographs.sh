#!/usr/bin/env bash
# Super-resolution: learn from a folder of photographs, then enlarge another one four times.
# Usage: examples/photographs.sh TRAINING_FOLDER FOLDER_TO_ENLARGE OUTPUT_FOLDER
set -euo pipefail

gan train --variant srgan --dataset "$1" --out runs/photographs --resume auto

# What was enlarged before is left alone, so the line can be run again after adding photographs.
# Exit code 3: some files could not be read; they are named, and the others are done.
gan sample runs/photographs --input "$2" --output "$3" --recursive --skip-existing
