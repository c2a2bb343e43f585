"""Signs that a run goes wrong while its losses stay finite; each is told once."""

from collections.abc import Iterator, Mapping

from torch import Tensor

CERTAIN = 0.05  # nats: D's loss when it is right about nearly every picture (at chance it is 2 ln 2 = 1.39)
CERTAIN_INTERVALS = 5  # in a row
EARLIEST_STEP = 200  # before it, losses and samples say little: G has hardly begun to learn
ALIKE = 2.0  # of 255 levels: how far samples of one class lie from their mean, in the mean over pixels


class Health:
    """Looks at the losses of each interval and at each set of samples; gives warnings."""

    def __init__(self) -> None:
        self._certain: dict[str, int] = {}
        self._told: set[str] = set()

    def losses(self, step: int, means: Mapping[str, float]) -> Iterator[str]:
        """A discriminator that is never wrong teaches nothing (Arjovsky & Bottou 2017, section 2)."""
        for name, mean in means.items():
            if not name.startswith("d_loss"):
                continue
            self._certain[name] = self._certain.get(name, 0) + 1 if mean < CERTAIN else 0
            if step >= EARLIEST_STEP and self._certain[name] >= CERTAIN_INTERVALS and self._first(name):
                yield (
                    f"{name} has been below {CERTAIN} up to step {step}: D tells every picture from a real one, and G may "
                    "learn nothing more; try a larger --r1, a lower --lr or a narrower D"
                )

    def samples(self, step: int, pixels: Tensor, num_classes: int) -> Iterator[str]:
        """`pixels`: uint8 `[N, C, H, W]`, their classes in turn (`num_classes` 1: without). Samples that are all alike are a
        collapsed G (Goodfellow 2016, section 5.1.1)."""
        if step < EARLIEST_STEP:
            return
        groups = [pixels[label::num_classes].float() for label in range(num_classes)]
        spreads = [float((group - group.mean(0)).abs().mean()) for group in groups if len(group) > 1]
        if spreads and max(spreads) < ALIKE and self._first("samples"):
            yield (
                f"the samples of step {step} are all alike (they differ from their mean by {max(spreads):.1f} of 255): G "
                "may have collapsed; try a larger --batch-size, a lower --lr or a state from before"
            )

    def _first(self, what: str) -> bool:
        new = what not in self._told
        self._told.add(what)
        return new
