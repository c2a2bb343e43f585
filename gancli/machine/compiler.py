"""Where torch's compiler keeps what it made, and what it may do."""

import logging
import os
from pathlib import Path
from typing import Any

COMPILED = "compiled"  # what the folder of compiled steps is called
VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


def kept_under(root: Path) -> None:
    """Let compiled steps lie under a data root, so that the next start compiles nothing; a user's own choice wins. Where
    nothing can be written there they lie where torch puts them, in the system's temporary folder."""
    for name in ("torch._inductor", "torch.utils.cpp_extension"):  # their remarks on this machine
        logging.getLogger(name).setLevel(logging.ERROR)
    if VARIABLE in os.environ:
        return
    folder = root / "cache" / COMPILED
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if os.access(folder, os.W_OK | os.X_OK):
        os.utime(folder)  # used now, as `gan cache` shows
        os.environ[VARIABLE] = str(folder)


def options(thorough: bool) -> dict[str, Any]:
    """Of Inductor: random numbers by the kernels of eager steps; choices by timing only if `thorough`; no reordering of
    loops, by which torch 2.11 stumbles over an update of many tensors (`AssertionError` in `reorder_loops_by_dep_pair`)."""
    return {
        "fallback_random": True,
        "loop_ordering_after_fusion": False,
        "max_autotune": thorough,
        "coordinate_descent_tuning": thorough,
    }
