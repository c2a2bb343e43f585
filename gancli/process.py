"""What this process is: the version of our code, the CPUs that it was given, and how its threads wait for each other."""

import os
import sys

__version__ = "0.1.0"

# The CPUs that this process may run on (a batch system's or container's cpuset counted). Asked before torch is imported:
# with OMP_PROC_BIND, which batch systems set, its OpenMP then ties the main thread, and what that starts, to one of them.
try:
    CPUS = frozenset(os.sched_getaffinity(0))
except (AttributeError, OSError):  # not Linux, or it does not tell
    CPUS = frozenset(range(os.cpu_count() or 1))

# Whether OpenMP's threads may wait for each other by spinning, as they do by default, until other processes want the CPUs
# (`machine.waiting` sees to that); not where the user has said how they wait. Where the kernel does not tell of other
# processes they spin as little as libgomp has them do itself where a program starts more threads than there are CPUs: it
# reads this when torch loads it.
SPINNING = not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys()
if SPINNING and sys.platform == "linux" and not os.access("/proc/self/schedstat", os.R_OK):
    os.environ["GOMP_SPINCOUNT"] = "1000"
    SPINNING = False
