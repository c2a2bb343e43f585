"""The order of the data, and batches of it."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gancli.batches.index_stream import IndexStream
from gancli.batches.labelled import LabelledBatches
from gancli.data.dataset import Dataset


@given(st.integers(1, 200), st.integers(1, 64), st.integers(0, 2**63 - 1))
def test_an_epoch_takes_each_image_at_most_once(num_images: int, batch_size: int, seed: int) -> None:
    stream = IndexStream(num_images, batch_size, seed)
    taken = torch.cat([stream.indices(step) for step in range(stream.steps_per_epoch)])
    assert len(taken) == stream.steps_per_epoch * batch_size
    counts = torch.bincount(taken, minlength=num_images)
    assert counts.max() - counts.min() <= 1


def test_the_stream_is_a_function_of_the_step_alone() -> None:
    forwards, jumping = IndexStream(50, 8, 3), IndexStream(50, 8, 3)
    rows = [forwards.indices(step) for step in range(30)]
    for step in (29, 0, 17, 5, 18):
        assert torch.equal(jumping.indices(step), rows[step])


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    stream = IndexStream(1000, 100, 0)
    assert not torch.equal(stream.permutation(0), stream.permutation(1))
    assert not torch.equal(stream.permutation(0), IndexStream(1000, 100, 1).permutation(0))


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("channels_last", [False, True])
def test_batches_hold_the_images_and_labels_of_their_indices(mapped: bool, channels_last: bool) -> None:
    pixels = torch.randint(256, (20, 3, 4, 4), dtype=torch.uint8)
    source = Dataset("x", pixels, torch.arange(20) % 3, ("a", "b", "c"), Path("file") if mapped else None)
    batches = LabelledBatches(source, torch.device("cpu"), 6, 1, channels_last)
    for step in (0, 1, 2, 3, 7):
        indices = batches.stream.indices(step)
        batch = batches.batch(step)
        torch.testing.assert_close(batch.images, pixels[indices].float() / 127.5 - 1)
        assert torch.equal(batch.condition, source.labels[indices])
        layout = torch.channels_last if channels_last else torch.contiguous_format
        assert batch.images.is_contiguous(memory_format=layout)
