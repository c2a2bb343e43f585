#!/usr/bin/env bash
# Run a command in a Slurm job, and queue the job again if the command stopped early with its state saved (exit code 75).
#
#   resumable.sh COMMAND...
#
# Slurm signals the batch shell: SIGTERM on preemption, SIGUSR1 before the time limit with --signal=B:USR1@120. This script
# passes the signal to the command, waits until the command has saved its state, and ends with its exit code.
set -u
(($#)) || { echo "usage: resumable.sh COMMAND..." >&2; exit 2; }

child= interrupted=
trap 'interrupted=1; [[ $child ]] && kill -USR1 "$child" 2>/dev/null' USR1 TERM
"$@" &
started=$!
sleep 0.2 # until the command replaces the forked shell, a signal would be lost
child=$started
[[ $interrupted ]] && kill -USR1 "$child" # a signal that came before the command was started

status=127
while :; do
    interrupted=
    wait "$child"
    now=$?
    ((now == 127)) || status=$now # 127: the exit code is known already
    [[ $interrupted ]] || break   # otherwise a signal ended the wait, not the command
done

# 138: SIGUSR1 came while Python was starting, before there was anything to save.
if ((status == 75 || status == 138)) && [[ ${SLURM_JOB_ID-} ]]; then
    echo "stopped; queueing job $SLURM_JOB_ID again" >&2
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
