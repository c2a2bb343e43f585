#!/usr/bin/env bash
# One run on several GPUs of several nodes, one process per GPU. --batch-size is the size of the whole batch:
#
#   cd examples/slurm && sbatch many-gpus.sh runs/dcgan-faces ~/pictures
#
# The script sets the variables that torchrun would set. torchrun ends with 1 whatever the processes end with; srun passes their
# exit code 75 on.
#
#SBATCH --job-name=gan-many
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=4
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=gan-many-%j.log
set -euo pipefail
read -ra gan <<<"${GAN:-gan}" # or GAN="apptainer run --nv gan.sif"
out=${1:?usage: sbatch many-gpus.sh OUT DATASET}
dataset=${2:?usage: sbatch many-gpus.sh OUT DATASET}

MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
MASTER_PORT=$((20000 + SLURM_JOB_ID % 40000))
export MASTER_ADDR MASTER_PORT WORLD_SIZE=$SLURM_NTASKS LOCAL_WORLD_SIZE=$SLURM_NTASKS_PER_NODE

exec ./resumable.sh srun --kill-on-bad-exit=0 bash -c 'RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID exec "$@"' - \
    "${gan[@]}" train --variant dcgan --dataset "$dataset" --batch-size 512 --out "$out" --resume auto --progress plain
