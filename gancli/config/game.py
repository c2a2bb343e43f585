"""The options that variants with adversarial losses share; `nn/adversarial.py` builds the losses."""

from typing import Any, Literal

from gancli.config.option import option

Loss = Literal["non-saturating", "relativistic", "hinge", "least-squares", "wasserstein"]


def loss() -> Any:
    return option("non-saturating", "adversarial loss", source="nn/adversarial.py names the papers")


def r1(weight: float) -> Any:
    return _penalty(weight, "weight of the R1 penalty; 0: none", "Mescheder et al. 2018")


def r2() -> Any:
    return _penalty(0.0, "weight of the R2 penalty, on fake pictures; 0: none", "Mescheder et al. 2018")


def gp() -> Any:
    return _penalty(0.0, "weight of the gradient penalty; 0: none", "Gulrajani et al. 2017")


def lr_decay(share: float, only_with: str | None = None) -> Any:
    what = "decay the learning rate linearly to 0 over this last fraction of the run"
    return option(share, what, ge=0, le=1, only_with=only_with, former="falling")


def _penalty(weight: float, what: str, paper: str) -> Any:
    return option(weight, what, ge=0, le=1000, source=paper)
