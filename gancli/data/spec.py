"""What is to be known of a data set before a network is built for it. Imports no torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageSpec:
    """The images a variant is built for. `class_names` is empty where the data set has no labels."""

    channels: int
    size: int  # height and width, in pixels
    class_names: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        return len(self.class_names)
