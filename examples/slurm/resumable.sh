#!/usr/bin/env bash
# Runs a command inside a Slurm job and queues the job again if the command stopped with its state saved (exit code 75).
#
#   resumable.sh COMMAND...
#
# Slurm signals the batch shell (SIGTERM on preemption, SIGUSR1 before the time limit with --signal=B:USR1@120); this hands
# the signal to the command, waits for it, however long the saving takes, and ends with its exit code.
set -u
(($#)) || { echo "usage: resumable.sh COMMAND..." >&2; exit 2; }

child= interrupted=
trap 'interrupted=1; [[ $child ]] && kill -USR1 "$child" 2>/dev/null' USR1 TERM
"$@" &
started=$!
sleep 0.2 # by then the command has replaced the copy of this shell that starts it, in which a signal would be lost
child=$started
[[ $interrupted ]] && kill -USR1 "$child" # it came before the command was there

status=127
while :; do
    interrupted=
    wait "$child"
    now=$?
    ((now == 127)) || status=$now # 127: the command's exit code was taken already
    [[ $interrupted ]] || break   # else a signal ended the wait, not the command
done

# 138: SIGUSR1 came while Python was starting, before there was anything to save.
if ((status == 75 || status == 138)) && [[ ${SLURM_JOB_ID-} ]]; then
    echo "stopped; queueing job $SLURM_JOB_ID again" >&2
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
