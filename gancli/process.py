"""What this process is: the version of our code, the CPUs that it was given, and how its threads wait for each other."""

import os

__version__ = "0.1.0"

# The CPUs that this process may run on (a batch system's or container's cpuset counted). Asked before torch is imported:
# with OMP_PROC_BIND, which batch systems set, its OpenMP then ties the main thread, and what that starts, to one of them.
try:
    CPUS = frozenset(os.sched_getaffinity(0))
except (AttributeError, OSError):  # not Linux, or it does not tell
    CPUS = frozenset(range(os.cpu_count() or 1))

# Whether the way OpenMP's threads wait for each other is left to us (`machine.contention`): the user has not chosen it.
SPINNING = not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys()
