"""Generative adversarial networks from the command line (README.md) and from Python (docs/python.md).

    import gancli

    model = gancli.load("runs/vanilla-mnist-001")
    samples = model.sample(64, seed=0)
    run = gancli.train("cgan", dataset="mnist", epochs=5, out="runs/a")
    metrics = gancli.evaluate([model], dataset="mnist", n=2000)

`import gancli` does not import torch; the first call of one of these does.
"""

import importlib
from typing import TYPE_CHECKING, Any

from gancli.process import CPUS as CPUS  # before torch is imported by anything
from gancli.process import __version__ as __version__

if TYPE_CHECKING:
    from gancli import events as events
    from gancli.api.evaluate import Figures as Figures
    from gancli.api.evaluate import evaluate as evaluate
    from gancli.api.model import Model as Model
    from gancli.api.model import Samples as Samples
    from gancli.api.model import load as load
    from gancli.api.runs import runs as runs
    from gancli.api.runs import write_report as write_report
    from gancli.api.train import Run as Run
    from gancli.api.train import train as train
    from gancli.api.train import training as training
    from gancli.errors import GancliError as GancliError

_LAZY = {
    "Figures": "gancli.api.evaluate",
    "evaluate": "gancli.api.evaluate",
    "GancliError": "gancli.errors",
    "Model": "gancli.api.model",
    "load": "gancli.api.model",
    "Samples": "gancli.api.model",
    "runs": "gancli.api.runs",
    "Run": "gancli.api.train",
    "train": "gancli.api.train",
    "training": "gancli.api.train",
    "write_report": "gancli.api.runs",
}
__all__ = ["CPUS", "__version__", "events", *_LAZY]


def __getattr__(name: str) -> Any:
    if name == "events":
        return importlib.import_module("gancli.events")
    if name not in _LAZY:
        raise AttributeError(f"module 'gancli' has no attribute {name!r}")
    found = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
