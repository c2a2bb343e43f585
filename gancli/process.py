"""Facts about this process: version, available CPUs, and whether OpenMP's waiting is configured."""

import os

__version__ = "0.1.0"

# The CPUs that this process may use (within the cpuset of a batch system or container). Queried before torch is imported:
# with OMP_PROC_BIND, which batch systems set, OpenMP binds the main thread, and its child processes, to one CPU.
try:
    CPUS = frozenset(os.sched_getaffinity(0))
except (AttributeError, OSError):  # not Linux, or not permitted
    CPUS = frozenset(range(os.cpu_count() or 1))

# Whether `machine.contention` may choose how OpenMP's threads wait, as the user has not.
SPINNING = not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys()
