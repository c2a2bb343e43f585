"""A small classifier of a data set's own pictures, whose features the distances between sets are taken on.

One fixed recipe and seed, cached beside the data: the figures need no download, and compare models within one data set,
never across data sets, and never with figures taken on Inception. Where a data set has no labels, the classifier learns
which way up a picture is (Gidaris et al. 2018), which takes knowing what is in it. Where pictures are stacks of digits, it
learns the digits, and looks at each channel on its own.
"""

import hashlib
import json
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gancli import images
from gancli.data import cache_entries, stacked
from gancli.data.source import Source
from gancli.errors import GancliError
from gancli.events import Emit, Event, Preparing, Warned
from gancli.files import atomic
from gancli.format import duration
from gancli.machine.cpu_tuning import keep_freed_memory, this_processor
from gancli.text import Note
from gancli.variant import on_meta_device

RECIPE = 2  # raised with every change of what follows
NUM_FEATURES = 128
WIDTHS = (24, 48, 96)
LARGEST_INPUT = 64  # pixels; larger pictures are halved by means first
COARSEST = 8  # pixels
NUM_STEPS, BATCH_SIZE, PEAK_LR = 1800, 128, 3e-3
SMALL = 32  # pixels; a step on larger pictures takes four times as long: half as many are made, where it pays in bf16
NUM_ROTATIONS = 4
CHUNK = 500
FORESEEN_AFTER = 100  # steps


class Classifier(nn.Module):
    """Pictures, float `[B, C, size, size]` in [-1, 1] → logits, float `[B, num_classes]`. `features` gives what comes
    before the last layer, float `[B, 128]`."""

    def __init__(self, channels: int, size: int, num_classes: int) -> None:
        super().__init__()
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
        self.head = nn.Linear(NUM_FEATURES, num_classes)

    def features(self, pictures: Tensor) -> Tensor:
        shrunk = F.avg_pool2d(pictures, self.shrink) if self.shrink > 1 else pictures
        features: Tensor = self.body(shrunk)
        return features

    def forward(self, pictures: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(pictures))
        return logits


@dataclass(frozen=True)
class Judge:
    """A trained classifier on `device`. `labelled`: it knows the data set's classes, not only which way is up. `stacked`: it
    looks at each channel on its own; features are those of all channels, and the class is the number that their digits make.
    """

    classifier: Classifier
    device: torch.device
    labelled: bool
    stacked: bool = False

    @torch.inference_mode()
    def look(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 `[N, C, H, W]` → features, float `[N, 128]` (of stacks `[N, C · 128]`), and the likeliest class, int64
        `[N]`, on the CPU."""
        features, classes = [], []
        for chunk in torch.split(pixels, CHUNK):
            alone = chunk.flatten(0, 1)[:, None] if self.stacked else chunk
            seen = self.classifier.features(images.to_float(alone.to(self.device)))
            features.append(seen.float().cpu().view(len(chunk), -1))
            found = self.classifier.head(seen).argmax(1).cpu().view(len(chunk), -1)
            classes.append(stacked.together(found) if self.stacked else found[:, 0])
        return torch.cat(features), torch.cat(classes)


def taught(source: Source, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, int]:
    """What a judge of a data set is trained on, of pictures of that kind and their labels: pictures, labels, and the number
    of classes, 0 where there is nothing to tell apart."""
    if source.stacked:
        return *stacked.apart(pixels, labels), stacked.NUM_DIGITS
    num_classes = source.spec.num_classes
    return pixels, labels, num_classes if num_classes > 1 else 0


def fit(pixels: Tensor, labels: Tensor, num_classes: int, device: torch.device, of_stacks: bool, emit: Emit) -> Judge:
    """Train a judge (`of_stacks`, or not) by the recipe on uint8 `[N, C, H, W]` and int64 `[N]`, or, with 0 classes, on
    rotations.

    Draws from a seeded generator of its own: torch's default one is left as it was.
    """
    keep_freed_memory()
    small = pixels.shape[-1] <= SMALL
    num_steps = NUM_STEPS if small else NUM_STEPS // 2
    layout = torch.channels_last
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        network = Classifier(pixels.shape[1], pixels.shape[-1], num_classes or NUM_ROTATIONS).to(device)
        indices = torch.randint(0, len(pixels), (num_steps, BATCH_SIZE))
    network.to(memory_format=layout)
    adam = torch.optim.Adam(network.parameters(), PEAK_LR, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, PEAK_LR, num_steps)
    bf16 = not small and device.type == "cpu" and this_processor().convolves_faster_in_bf16
    for step, chosen in enumerate(indices):
        if step % 50 == 0:
            emit(Preparing("training the evaluation classifier", step, num_steps, "steps"))
        batch = images.to_float(pixels[chosen].to(device))
        if num_classes:
            targets = labels[chosen].to(device)
        else:
            targets = torch.arange(BATCH_SIZE, device=device) % NUM_ROTATIONS
            batch = torch.stack([x.rot90(int(turn), (1, 2)) for x, turn in zip(batch, targets.tolist(), strict=True)])
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            logits = network(batch.to(memory_format=layout))
        adam.zero_grad()
        torch.autograd.backward(F.cross_entropy(logits.float(), targets))
        adam.step()
        schedule.step()
    network.to(memory_format=torch.contiguous_format)  # as one that is read from the cache lies
    return Judge(network.eval().requires_grad_(False), device, bool(num_classes), of_stacks)


def judge_of(source: Source, data_root: Path, device: torch.device, emit: Emit) -> Judge:
    """The judge of a data set: from the cache in `data_root`, or trained and kept there."""
    pixels, labels, num_classes = taught(source, source.images, source.labels)
    content = [RECIPE, list(pixels.shape), num_classes, _checksum(pixels), _checksum(labels)]
    key = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:20]
    path = data_root / "cache" / f"classifier-{key}.safetensors"
    with on_meta_device():  # random weights would be drawn from the training's random numbers
        network = Classifier(pixels.shape[1], pixels.shape[-1], num_classes or NUM_ROTATIONS)
    try:
        network.load_state_dict(safetensors.torch.load(path.read_bytes()), assign=True)
        cache_entries.touch(path)
        return Judge(network.to(device).eval().requires_grad_(False), device, bool(num_classes), source.stacked)
    except (OSError, safetensors.SafetensorError, RuntimeError):
        pass  # not there, or damaged: it is made again
    judge = fit(pixels, labels, num_classes, device, source.stacked, _with_estimate(source.name, emit))
    weights = {name: tensor.cpu() for name, tensor in judge.classifier.state_dict().items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(path, [safetensors.torch.save(weights, {"dataset": source.name})])
        cache_entries.tidy(path.parent)
    except (OSError, GancliError) as error:  # a read-only data root
        why = atomic.reason(error) if isinstance(error, OSError) else error
        emit(Warned(f"{path.parent}: the classifier cannot be kept there ({why}); it is trained anew each time"))
    return judge


def _with_estimate(dataset: str, emit: Emit) -> Emit:
    """Return an `emit` for a training that begins now, which adds how long it will take."""
    began = time.monotonic()

    def emit_with_estimate(event: Event) -> None:
        emit(event)
        if isinstance(event, Preparing) and event.done == FORESEEN_AFTER:
            seconds = (time.monotonic() - began) * event.total / FORESEEN_AFTER
            line = f"training the evaluation classifier takes about {duration(seconds)}, once for {dataset}"
            emit(Warned(Note(line)))

    return emit_with_estimate


def _checksum(tensor: Tensor) -> int:
    return zlib.crc32(tensor.contiguous().numpy().data)
