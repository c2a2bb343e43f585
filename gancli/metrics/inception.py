"""The canonical Fréchet inception distance (Heusel et al. 2017), where the weights of its network are at hand."""

import hashlib
import importlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancli.config.paths import read_file
from gancli.errors import GancliError, UsageError, os_problem
from gancli.events import Emit, Preparing
from gancli.metrics.distances import torchmetrics
from gancli.metrics.figure import Measure

WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"
SHA256_BEGINS = "6726825d"
CHUNK = 50


class InceptionFid:
    """FID against one set of real pictures, on `device`.

    `weights`: torch-fidelity's file. It is a pickle, so nothing but that very file, by its checksum, is opened. Raises
    `UsageError` for any other, and `GancliError` where the extra `metrics` is missing.
    """

    def __init__(self, weights: Path, device: torch.device) -> None:
        try:
            checksum = hashlib.sha256(read_file(weights)).hexdigest()
        except OSError as error:
            raise GancliError(os_problem(f"--inception {weights}", "read", error)) from None
        if not checksum.startswith(SHA256_BEGINS):
            raise UsageError(
                f"--inception {weights}: not torch-fidelity's {WEIGHTS} (sha256 begins {checksum[:8]}, not {SHA256_BEGINS})"
            )
        fid = torchmetrics("fid")
        try:
            importlib.import_module("torch_fidelity")
        except ModuleNotFoundError as error:
            raise GancliError("--inception: torch-fidelity is missing: pip install 'gancli[metrics]'") from error
        self._device = device
        self._metric: Any = fid.FrechetInceptionDistance(
            feature=2048, reset_real_features=False, feature_extractor_weights_path=str(weights)
        ).to(device)

    def compare_with(self, real: Tensor, emit: Emit) -> None:
        """Take in the real pictures, uint8 `[N, C, H, W]`; grey ones become RGB."""
        self._take(real, True, emit)

    def distance(self, pictures: Tensor, emit: Emit) -> Measure:
        """The distance of pictures, uint8 `[N, C, H, W]`, from the real ones."""
        self._take(pictures, False, emit)
        value = self._metric.compute().item()
        self._metric.reset()
        return Measure(value)

    def _take(self, pixels: Tensor, real: bool, emit: Emit) -> None:
        for start in range(0, len(pixels), CHUNK):
            emit(Preparing("looking at pictures with Inception", start, len(pixels), "pictures"))
            some = pixels[start : start + CHUNK].expand(-1, 3, -1, -1)
            self._metric.update(some.to(self._device), real=real)
