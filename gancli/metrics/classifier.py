"""A small classifier of a dataset's own images, on whose features the distances between sets of images are computed.

Its recipe and seed are fixed, and it is cached with the data, so that evaluation needs no download. Its metrics compare
models on one dataset; they are not comparable across datasets, nor with metrics on Inception features. On a dataset without
labels the classifier learns to predict rotations (Gidaris et al. 2018). On stacks of digits it classifies each channel.
"""

import hashlib
import json
import zlib
from pathlib import Path

import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gancli import images
from gancli.data import cache_entries, stacked
from gancli.data.dataset import Dataset
from gancli.errors import GancliError
from gancli.events import Emit, Preparing, Warned
from gancli.files import atomic
from gancli.machine.cpu_tuning import keep_freed_memory, this_processor
from gancli.variant import on_meta_device

RECIPE = 2  # to be incremented with every change of the network or its training
NUM_FEATURES = 128
WIDTHS = (24, 48, 96)
LARGEST_INPUT = 64  # pixels; larger images are downsampled by averaging
COARSEST = 8  # pixels
NUM_STEPS, BATCH_SIZE, PEAK_LR = 1800, 128, 3e-3
SMALL = 32  # pixels; larger images take four times as long per step: half as many steps, in bf16 where that is faster
NUM_ROTATIONS = 4
CHUNK = 500


class Classifier(nn.Module):
    """Maps images, float `[B, C, size, size]` in [-1, 1], to logits, float `[B, num_classes]`; with 0 classes, those of the
    four rotations. `stacked`: images are stacks of digits, and each channel is classified by itself."""

    def __init__(self, channels: int, size: int, num_classes: int, stacked: bool = False) -> None:
        super().__init__()
        self.labelled, self.stacked = num_classes > 0, stacked
        self.shrink = 1
        while size // self.shrink > LARGEST_INPUT and size % (2 * self.shrink) == 0:
            self.shrink *= 2
        size //= self.shrink
        blocks: list[nn.Module] = []
        for width in WIDTHS:
            blocks.append(nn.Conv2d(channels, width, 3, padding=1))
            if size > COARSEST - 1:
                blocks.append(nn.MaxPool2d(2))
                size //= 2
            blocks.append(nn.ReLU())
            channels = width
        blocks += [nn.Flatten(), nn.Linear(channels * size**2, NUM_FEATURES), nn.ReLU()]
        self.body = nn.Sequential(*blocks)
        self.head = nn.Linear(NUM_FEATURES, num_classes or NUM_ROTATIONS)

    def features(self, images: Tensor) -> Tensor:
        """Return the input of the last layer, float `[B, 128]`."""
        shrunk = F.avg_pool2d(images, self.shrink) if self.shrink > 1 else images
        features: Tensor = self.body(shrunk)
        return features

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(images))
        return logits

    @torch.inference_mode()
    def extract(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features, float `[N, 128]`, and the most likely classes, int64 `[N]`, of uint8 `[N, C, H, W]`, on the
        CPU. For stacks the features are those of all channels, `[N, C · 128]`, and the class is the number that the digits
        make."""
        features, classes = [], []
        for chunk in torch.split(pixels, CHUNK):
            inputs = chunk.flatten(0, 1)[:, None] if self.stacked else chunk
            found = self.features(images.to_float(inputs.to(self.head.weight.device)))
            features.append(found.float().cpu().view(len(chunk), -1))
            predicted = self.head(found).argmax(1).cpu().view(len(chunk), -1)
            classes.append(stacked.digits_to_number(predicted) if self.stacked else predicted[:, 0])
        return torch.cat(features), torch.cat(classes)


def training_data(source: Dataset, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, int]:
    """Return what a classifier of a dataset is trained on, given images like its own: images, labels and the number of
    classes, which is 0 without labels."""
    if source.stacked:
        return *stacked.unstack(pixels, labels), stacked.NUM_DIGITS
    num_classes = source.spec.num_classes
    return pixels, labels, num_classes if num_classes > 1 else 0


def fit(
    pixels: Tensor, labels: Tensor, num_classes: int, device: torch.device, of_stacks: bool, emit: Emit
) -> Classifier:
    """Train a classifier on uint8 `[N, C, H, W]` and their labels, int64 `[N]`, or, with 0 classes, on rotations. Torch's
    default random generator keeps its state."""
    keep_freed_memory()
    small = pixels.shape[-1] <= SMALL
    num_steps = NUM_STEPS if small else NUM_STEPS // 2
    layout = torch.channels_last
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        network = Classifier(pixels.shape[1], pixels.shape[-1], num_classes, of_stacks).to(device)
        indices = torch.randint(0, len(pixels), (num_steps, BATCH_SIZE))
    network.to(memory_format=layout)
    adam = torch.optim.Adam(network.parameters(), PEAK_LR, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, PEAK_LR, num_steps)
    bf16 = not small and device.type == "cpu" and this_processor().convolves_faster_in_bf16
    for step, rows in enumerate(indices):
        if step % 50 == 0:
            emit(Preparing("training the evaluation classifier", step, num_steps, "steps"))
        batch = images.to_float(pixels[rows].to(device))
        if num_classes:
            targets = labels[rows].to(device)
        else:
            targets = torch.arange(BATCH_SIZE, device=device) % NUM_ROTATIONS
            batch = torch.stack([x.rot90(int(turn), (1, 2)) for x, turn in zip(batch, targets.tolist(), strict=True)])
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            logits = network(batch.to(memory_format=layout))
        adam.zero_grad()
        torch.autograd.backward(F.cross_entropy(logits.float(), targets))
        adam.step()
        schedule.step()
    network.to(memory_format=torch.contiguous_format)  # as if read from the cache
    return network.eval().requires_grad_(False)


def evaluation_classifier(source: Dataset, data_root: Path, device: torch.device, emit: Emit) -> Classifier:
    """Return the classifier of a dataset: from the cache in `data_root`, or newly trained and cached there."""
    pixels, labels, num_classes = training_data(source, source.images, source.labels)
    content = [RECIPE, list(pixels.shape), num_classes, _checksum(pixels), _checksum(labels)]
    key = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:20]
    path = data_root / "cache" / f"classifier-{key}.safetensors"
    with on_meta_device():  # initial weights would take random numbers from the training
        network = Classifier(pixels.shape[1], pixels.shape[-1], num_classes, source.stacked)
    try:
        network.load_state_dict(safetensors.torch.load(path.read_bytes()), assign=True)
        cache_entries.touch(path)
        return network.to(device).eval().requires_grad_(False)
    except (OSError, safetensors.SafetensorError, RuntimeError):
        pass  # missing or damaged: trained below
    network = fit(pixels, labels, num_classes, device, source.stacked, emit)
    weights = {name: tensor.cpu() for name, tensor in network.state_dict().items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(path, [safetensors.torch.save(weights, {"dataset": source.name})])
        cache_entries.tidy(path.parent)
    except (OSError, GancliError) as error:  # a read-only data root
        why = atomic.reason(error) if isinstance(error, OSError) else error
        emit(Warned(f"{path.parent}: the classifier cannot be cached ({why}); it is trained again each time"))
    return network


def _checksum(tensor: Tensor) -> int:
    return zlib.crc32(tensor.contiguous().numpy().data)
