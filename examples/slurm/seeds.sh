#!/usr/bin/env bash
# The same experiment with ten seeds. Each seed is a job of its own that stops, is queued again and resumes by itself;
# `gan runs OUT` lists them. You can sweep any option: --lr 1e-4,1e-3 with --array=0-1, or both options with --array=0-19.
#
#   cd examples/slurm && GAN_DATA=/scratch/data sbatch seeds.sh runs/mnist
#
#SBATCH --job-name=gan-seeds
#SBATCH --array=0-9
#SBATCH --cpus-per-task=2
#SBATCH --time=01:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=gan-seeds-%A-%a.log
set -euo pipefail
read -ra gan <<<"${GAN:-gan}" # or GAN="apptainer run --nv gan.sif"
out=${1:?usage: sbatch seeds.sh OUT}
run=${SLURM_ARRAY_TASK_ID:?is an array job: submit it with sbatch}

exec ./resumable.sh "${gan[@]}" train --variant vanilla --dataset mnist --no-download --seed 0-9 --only "$run" \
    --out "$out" --resume auto --progress plain
