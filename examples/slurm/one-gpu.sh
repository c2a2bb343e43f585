#!/usr/bin/env bash
# One run on one GPU, queued again after each time limit until it has finished:
#
#   cd examples/slurm && sbatch one-gpu.sh runs/dcgan-faces ~/pictures
#
#SBATCH --job-name=gan
#SBATCH --gpus=1
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=gan-%j.log
set -euo pipefail
read -ra gan <<<"${GAN:-gan}" # or GAN="apptainer run --nv gan.sif"
out=${1:?usage: sbatch one-gpu.sh OUT DATASET}
dataset=${2:?usage: sbatch one-gpu.sh OUT DATASET}

exec ./resumable.sh "${gan[@]}" train --variant dcgan --dataset "$dataset" --out "$out" --resume auto --progress plain
