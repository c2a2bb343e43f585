"""What figures are called, their units, and which way is better. Imports no torch."""

from collections.abc import Iterable
from types import MappingProxyType
from typing import NamedTuple


class Kind(NamedTuple):
    unit: str
    higher_is_better: bool | None  # None: neither


KINDS = MappingProxyType(
    {
        "frechet distance": Kind("", False),
        "kernel distance": Kind("×10⁻³", False),
        "precision": Kind("", True),
        "recall": Kind("", True),
        "density": Kind("", True),
        "coverage": Kind("", True),
        "parzen log-likelihood": Kind("nats", True),
        "sliced wasserstein": Kind("×10⁻³", False),
        "inception fid": Kind("", False),
        "gan-test": Kind("%", True),
        "gan-train": Kind("%", True),
        "classes found": Kind("", True),
        "modes": Kind("of 1,000", True),
        "modes kl": Kind("nats", False),
        "rarest class": Kind("× even", None),
        "commonest class": Kind("× even", None),
        "diversity": Kind("", None),
        "nearest training image": Kind("RMS", None),
        "psnr on Y": Kind("dB", True),
        "ssim on Y": Kind("", True),
    }
)
SHORT = MappingProxyType({"frechet": "frechet distance", "kl": "modes kl", "psnr": "psnr on Y"})
"""Names that `--eval-metric` has for them."""
MAIN_FIRST = ("frechet distance", "psnr on Y", "modes", "coverage")


def full_name(name: str) -> str:
    """The key into `KINDS` of a figure, whatever it was measured by, or the name as it is."""
    return SHORT.get(name, name).partition(" at ")[0]


def higher_is_better(name: str) -> bool | None:
    """None: neither, or not known."""
    kind = KINDS.get(full_name(name))
    return kind.higher_is_better if kind else None


def main_first(names: Iterable[str]) -> list[str]:
    """Those of the figures that have a better and a worse, the one that tells most first."""
    order = [*MAIN_FIRST, *KINDS]
    known = [name for name in names if higher_is_better(name) is not None]
    return sorted(known, key=lambda name: order.index(full_name(name)))
