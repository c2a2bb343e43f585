"""VGG19 features (Simonyan & Zisserman 2015) for the content loss of Ledig et al. 2017, section 2.2.1.

The weights are torchvision's, downloaded (548 MB, checksum verified) or from a safetensors file with the same names.
"""

import contextlib
import sys
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from gancli.errors import GancliError, UsageError

FEATURE_SCALE = 1 / 12.75  # scales the loss to the magnitude of a squared error of pixels (section 3.2)
CONVOLUTIONS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512)  # 0: pooling
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's images in [0, 1]
CONVERT = (
    "python -c \"import torch, safetensors.torch as s; s.save_file(torch.load('vgg19.pth', weights_only=True), "
    "'vgg19.safetensors')\""
)


class Vgg19Features(nn.Module):
    """φ5,4: images, float `[B, C, H, W]` in [-1, 1], C 1 or 3 → features after the activation of the last convolution,
    float `[B, 512, H/16, W/16]`, times 1/12.75. Frozen; the weights are random until `load`."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        num_inputs = 3
        for num_outputs in CONVOLUTIONS:
            if num_outputs:
                layers += [nn.Conv2d(num_inputs, num_outputs, 3, 1, 1), nn.ReLU(inplace=True)]
                num_inputs = num_outputs
            else:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1), persistent=False)
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x = ((x.float() + 1) / 2).expand(-1, 3, -1, -1)
        features: Tensor = self.features((x - self.mean) / self.deviation) * FEATURE_SCALE
        return features

    def load(self, path: str | None) -> str:
        """Load the weights from a safetensors file or, if `path` is None, torchvision's. Returns their origin, for
        messages.

        Raises `UsageError` for a file that cannot be used, and `GancliError` if the download fails.
        """
        if path is None:
            weights, origin = _downloaded(), "torchvision"
        else:
            weights, origin = _from_file(path), path
        own = self.features.state_dict()
        found = {name: weights.get(f"features.{name}") for name in own}
        for name, tensor in found.items():
            if tensor is None or tensor.shape != own[name].shape or not tensor.is_floating_point():
                raise UsageError(
                    f"--vgg-weights {origin}: has no fitting features.{name}; not VGG19 as torchvision has it"
                )
        self.features.load_state_dict(found)
        return origin


def _from_file(path: str) -> dict[str, Tensor]:
    if Path(path).suffix in (".pth", ".pt", ".bin"):
        raise UsageError(f"--vgg-weights {path}: pickled files are not read; turn it into safetensors with  {CONVERT}")
    try:
        return safetensors.torch.load(Path(path).read_bytes())
    except (OSError, safetensors.SafetensorError) as error:
        raise UsageError(f"--vgg-weights {path}: cannot be read as safetensors ({error})") from None


def _downloaded() -> dict[str, Tensor]:
    from torchvision.models import VGG19_Weights

    if torch.hub.get_dir().startswith("~"):  # torch would create a folder named ~
        raise GancliError(
            "--content vgg: no home directory is known to download VGG19's weights to; set TORCH_HOME, or give "
            "--vgg-weights FILE.safetensors"
        )
    try:
        with contextlib.redirect_stdout(sys.stderr):  # torch prints there; stdout is for results
            weights: dict[str, Tensor] = dict(
                VGG19_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
            )
    except (OSError, RuntimeError) as error:  # no network, a full disk, or a wrong checksum
        raise GancliError(
            f"--content vgg: torchvision's VGG19 weights cannot be had ({error}); give --vgg-weights FILE.safetensors, "
            "or train with --content mse"
        ) from None
    return weights
