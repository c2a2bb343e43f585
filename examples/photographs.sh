#!/usr/bin/env bash
# Super-resolution: train on a folder of photographs, then enlarge another folder four times.
# Usage: examples/photographs.sh TRAINING_FOLDER FOLDER_TO_ENLARGE OUTPUT_FOLDER
set -euo pipefail

gan train --variant srgan --dataset "$1" --out runs/photographs --resume auto

# --skip-existing lets you run this line again after you add photographs.
# Exit code 3: some files could not be read. They are listed on stderr, and the others are enlarged.
gan sample runs/photographs --input "$2" --output "$3" --recursive --skip-existing
