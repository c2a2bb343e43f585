"""Steps ask the host nothing, so that they can be captured."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from gancli import catalogue
from gancli.config import fields_of
from gancli.machine import torch_private
from gancli.machine.device import Machine, Precision
from gancli.spec import Batch, ImageSpec
from gancli.steps.ema import AveragedModel
from gancli.steps.training_step import TrainingStep


class OnPaper(Machine):
    """A device that computes nothing: what needs a value there fails."""

    def autocast(self) -> AbstractContextManager[object]:
        return nullcontext()


class HostTensors(torch_private.DispatchMode):  # type: ignore[no-untyped-call]
    """Notes the operations that have to do with tensors on the host."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)]
        if any(tensor.device.type == "cpu" for tensor in tensors):
            self.seen.append(str(func))
        return result


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("preset", ["default", "paper"])
@pytest.mark.parametrize("variant", catalogue.names())
def test_a_step_asks_the_host_nothing(
    variant: str, preset: str, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as could be captured: no value is read, and no tensor comes from the host."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # which this device has not
    adam = torch_private.fused_adam_

    def fused_adam(*args: Any, lr: float | Tensor, **kwargs: Any) -> None:
        assert isinstance(lr, float) or lr.device.type == "meta"
        adam(*args, lr=1e-3, **kwargs)  # this device has it with plain numbers only

    monkeypatch.setattr(torch_private, "fused_adam_", fused_adam)
    card = catalogue.variant_info(variant)
    own = dict(card.config_class.presets[preset]) | ({"content": "mse"} if variant == "srgan" else {})
    known = {field.name for field in fields_of(card.config_class)}
    device, size = torch.device("meta"), 32 if variant == "srgan" else 28
    with device:
        built = catalogue.load(variant)(
            card.config_class(**{name: value for name, value in own.items() if name in known}),
            ImageSpec(1, size, tuple("0123456789")),
        )
        images, labels = torch.zeros(16, 1, size, size), torch.zeros(16, dtype=torch.int64)
        small = torch.zeros(16, 1, size // built.scale, size // built.scale)
    batch = Batch(images, small if built.condition_type == "low_res" else labels)
    average = AveragedModel(built.generator, 0.999)
    for phase in built.phases(100):
        stepper = TrainingStep(phase, built.networks, OnPaper(device, precision, 1))
        stepper.prepare()
        average.prepare(1)
        with HostTensors() as host:
            terms = stepper.compute(batch)
            average.apply()
        assert host.seen == []
        assert all(term.shape == () for term in terms.values())
