"""Whether D is overfitting: its outputs for training images, compared with those for images that it was never shown.

Looking changes nothing of a run: no random numbers are drawn, and no network is in training mode meanwhile.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from gancli import images
from gancli.config import RunConfig, VariantConfig
from gancli.data.source import Source
from gancli.sampling import preview
from gancli.variant import Variant

MOST = 256  # pictures of a kind
CHUNK = 64
LOOKS = 50  # in a run
STEADY = 3  # looks in a row
SHARE = 0.5
ERRORS = 3.0  # standard errors of the difference of means


class Watch:
    """Compares D's logits of training pictures (`kept`, int64 indices) with those of pictures that are `held` out, every so
    many steps."""

    def __init__(self, source: Source, kept: Tensor, held: Tensor, device: torch.device) -> None:
        chosen = kept[torch.linspace(0, len(kept) - 1, min(MOST, len(kept))).long()]
        self._known, self._unknown = ((source.images[part], source.labels[part]) for part in (chosen, held))
        self._device = device
        self._in_a_row = self._most_in_a_row = 0

    def share(self, variant: Variant, generator: nn.Module) -> float:
        """How far D has gone from telling the made from the real to telling the unknown from the known: 0 not at all, 1 all
        the way (r_v of Karras et al. 2020, arXiv:2006.06676, equation 1)."""
        fake, _ = preview.drawn(variant, generator, self._device)
        labels = torch.arange(len(fake)) % max(1, variant.images.num_classes if variant.conditional else 1)
        with _unmoved(tuple(variant.networks.values())):
            known, unknown, made = (
                self._logits(variant, *each) for each in (self._known, self._unknown, (fake, labels))
            )
        return told_apart(known, unknown, made)

    def steady(self, share: float) -> bool:
        """Whether it is large for several looks, of which this is the last, for the first time."""
        self._in_a_row = self._in_a_row + 1 if share > SHARE else 0
        new = self._in_a_row == STEADY > self._most_in_a_row
        self._most_in_a_row = max(self._most_in_a_row, self._in_a_row)
        return new

    @torch.no_grad()
    def _logits(self, variant: Variant, pixels: Tensor, labels: Tensor) -> Tensor:
        """float `[N]`, on the CPU."""
        found = [
            variant.judged(images.to_float(some.to(self._device)), which.to(self._device)).float().flatten().cpu()
            for some, which in zip(torch.split(pixels, CHUNK), torch.split(labels, CHUNK), strict=True)
        ]
        return torch.cat(found)


def told_apart(known: Tensor, unknown: Tensor, made: Tensor) -> float:
    """Of D's logits, float `[N]` each, how far those of known and unknown pictures lie apart, as a share of how far those of
    known and made ones do; at most 2. 0 where it is no further than so few pictures differ by chance."""
    gap, whole = float(known.mean() - unknown.mean()), float(known.mean() - made.mean())
    error = float((known.var() / len(known) + unknown.var() / len(unknown)).sqrt())
    return gap / max(whole, gap / 2) if gap > max(ERRORS * error, 0.0) else 0.0


def advice(run: RunConfig, own: VariantConfig, step: int, share: float) -> str:
    """What to tell once, and what to do."""
    ways = ["more images", "fewer --steps (earlier states and samples are kept)"]
    if getattr(own, "augment", "") in (None, "none"):
        ways.append("--augment colour,translation,cutout")
    if not run.mirror:
        ways.append("--mirror, unless they contain text")
    return (
        f"D is overfitting: at step {step} its outputs for training and for {run.held_out} held-out images are "
        f"{share:.1f} times as far apart as those for training and generated images, so G will copy training images; try "
        f"{', '.join(ways)}"
    )


@contextmanager
def _unmoved(networks: Sequence[nn.Module]) -> Iterator[None]:
    """Within it the networks are in eval mode: no dropout, and nothing that they count or average moves."""
    for network in networks:
        network.eval()
    try:
        yield
    finally:
        for network in networks:
            network.train()
