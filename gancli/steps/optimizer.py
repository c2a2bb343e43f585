"""The optimizer of one network, for steps that may be captured.

It calls the kernels of `torch.optim` directly, whose own checks take three times as long as the update of a small network. A
captured step can take no new values from the host, so whatever changes from step to step is a tensor on the device, which
`prepare` fills.
"""

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from gancli.catalogue.contract import UntrainedError
from gancli.machine import torch_private
from gancli.machine.device import Machine
from gancli.variant import Adam, Optimizer, Schedule, Sgd, constant

EPS = 1e-8  # Kingma & Ba 2015, algorithm 1
# torch's fused kernel gives each block of threads 65,536 values of one tensor, and takes up to 36 tensors per launch, so the
# update of a small network uses two to eight multiprocessors of a GPU (26 µs). Split tensors use up to 36.
VALUES_PER_BLOCK, TENSORS_PER_LAUNCH, ALIGNMENT = 65_536, 36, 1024


class NetworkOptimizer:
    """Updates one network by its declared optimizer, with learning rate schedule and, in fp16, loss scaling."""

    def __init__(self, network: nn.Module, rule: Optimizer, machine: Machine) -> None:
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.ranks = machine.ranks
        self.method: Method
        self.method = AdamMethod(self.parameters, rule) if isinstance(rule, Adam) else SgdMethod(self.parameters, rule)
        self.scaler = LossScaler(machine.device) if machine.precision == "fp16" else None
        self.updates = 0

    def prepare(self) -> None:
        """Do the host's part, before a step: set learning rate and momentum for the number of updates done."""
        self.method.prepare(self.updates)

    def minimise(self, loss: Tensor, fused: bool = True) -> None:
        """Update this network alone; no gradients of other networks' weights are computed. `fused`: by a fused kernel, where
        there is one, instead of operations that a compiler can join."""
        self.clear_gradients()
        self.add_gradients(loss)
        self.update(fused)

    def clear_gradients(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def add_gradients(self, loss: Tensor) -> None:
        """Add the gradient of a loss with respect to this network's parameters to those since `clear_gradients`."""
        torch.autograd.backward(self.scaler.scaled(loss) if self.scaler else loss, inputs=self.parameters)

    def update(self, fused: bool = True) -> None:
        """Update this network by the gradients that were added. `fused`: as in `minimise`."""
        used = [index for index, p in enumerate(self.parameters) if p.grad is not None]
        if not used:
            raise UntrainedError
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        self.ranks.average(gradients)
        with torch.no_grad():
            overflow = self.scaler.unscale(gradients) if self.scaler else None
            self.method.update(used, gradients, overflow, fused)
            if self.scaler and overflow is not None:
                self.scaler.adapt(overflow)
        self.updates += 1

    def tensors(self) -> dict[str, Tensor]:
        """Return the state that a resume needs, by name: `exp_avg.0` is the first moment of the first parameter."""
        scale = self.scaler.tensors() if self.scaler else {}
        return {**self.method.tensors(), **scale, "updates": torch.tensor(self.updates)}

    def restore(self, named: Mapping[str, Tensor]) -> None:
        """Restore the state that `tensors` returned. Raises `KeyError` or `ValueError` for any other state."""
        # If a run resumes in another precision, only one side has a scale: it is ignored.
        scale = self.scaler.tensors() if self.scaler and set(named) >= LossScaler.NAMES else {}
        own = {**self.method.tensors(), **scale}
        if mismatch := sorted(set(own) ^ (set(named) - {"updates"} - (LossScaler.NAMES - set(scale)))):
            raise ValueError(f"{', '.join(mismatch)[:120]} missing or unknown")
        self.updates = int(named["updates"])
        for name, tensor in own.items():
            if tensor.shape != named[name].shape or tensor.dtype != named[name].dtype:
                raise ValueError(f"{name} has the wrong shape or dtype")
            tensor.copy_(named[name])


class ScheduledValue:
    """A number times a schedule. Unless the schedule is constant, `value` is a tensor on the device, for captured steps to
    read (fp64 on a CPU, as exact as the number)."""

    def __init__(self, base: float, schedule: Schedule, device: torch.device) -> None:
        self.base, self.schedule = base, schedule
        self.is_constant = schedule is constant
        dtype = torch.float64 if device.type == "cpu" else torch.float32
        self.value = base if self.is_constant else torch.tensor(base * schedule(0), dtype=dtype, device=device)

    def set(self, updates: int) -> None:
        """Set `value` for the number of updates done."""
        if isinstance(self.value, Tensor):
            self.value.fill_(self.base * self.schedule(updates))


class Method(ABC):
    """An update rule of some parameters, which reads no value back to the host. `scheduled`: its scheduled values."""

    def __init__(self, parameters: Sequence[Tensor], *scheduled: ScheduledValue) -> None:
        self.parameters, self.scheduled = parameters, scheduled

    @property
    def is_constant(self) -> bool:
        """Whether `prepare` never changes anything."""
        return all(value.is_constant for value in self.scheduled)

    def prepare(self, updates: int) -> None:
        """Set the scheduled values for the number of updates done."""
        for value in self.scheduled:
            value.set(updates)

    @abstractmethod
    def update(self, used: Sequence[int], gradients: list[Tensor], overflow: Tensor | None, fused: bool) -> None:
        """Update the parameters with the indices `used`, which `gradients` belong to, unless `overflow`, float `[1]`, is 1:
        then a gradient is not finite, and nothing changes."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """Return the state by name."""


class AdamMethod(Method):
    """Adam (Kingma & Ba 2015, Algorithm 1); all parameters share one count of steps."""

    def __init__(self, parameters: Sequence[Tensor], rule: Adam) -> None:
        device = parameters[0].device
        self.lr = ScheduledValue(rule.lr, rule.schedule, device)
        super().__init__(parameters, self.lr)
        self.rule = rule
        self.step = torch.zeros((), device=device)
        self.exp_avg, self.exp_avg_sq = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
        self.piece = piece_size([p.numel() for p in parameters]) if device.type == "cuda" else sys.maxsize

    def update(self, used: Sequence[int], gradients: list[Tensor], overflow: Tensor | None, fused: bool) -> None:
        self.step += 1 if overflow is None else (1 - overflow).squeeze()
        weights, first, second = ([each[i] for i in used] for each in (self.parameters, self.exp_avg, self.exp_avg_sq))
        if not fused:
            self._update_unfused(weights, gradients, first, second, overflow)
            return
        weights, gradients, first, second = split([weights, gradients, first, second], self.piece)
        torch_private.fused_adam_(
            weights,
            gradients,
            first,
            second,
            [],
            [self.step] * len(weights),
            lr=self.lr.value,
            beta1=self.rule.beta1,
            beta2=self.rule.beta2,
            weight_decay=0.0,
            eps=EPS,
            amsgrad=False,
            maximize=False,
            found_inf=overflow,
        )

    def _update_unfused(
        self, weights: list[Tensor], gradients: list[Tensor], first: list[Tensor], second: list[Tensor],
        overflow: Tensor | None,
    ) -> None:  # fmt: skip
        """Do the same update in plain operations on many tensors each, which a compiler joins into one kernel."""
        beta1, beta2 = self.rule.beta1, self.rule.beta2
        before = None if overflow is None else [t.clone() for t in (*weights, *first, *second)]
        torch_private.foreach_lerp_(first, gradients, 1 - beta1)
        torch_private.foreach_mul_(second, beta2)
        torch_private.foreach_addcmul_(second, gradients, gradients, 1 - beta2)
        step_size = self.lr.value / (1 - torch.pow(beta1, self.step))
        roots = torch_private.foreach_sqrt(second)
        torch_private.foreach_div_(roots, (1 - torch.pow(beta2, self.step)).sqrt())
        torch_private.foreach_add_(roots, EPS)
        changes = torch_private.foreach_mul(first, step_size.to(self.step.dtype))
        torch_private.foreach_div_(changes, roots)
        torch_private.foreach_sub_(weights, changes)
        if overflow is not None and before is not None:
            restore_on_overflow((*weights, *first, *second), before, overflow)

    def tensors(self) -> dict[str, Tensor]:
        moments = {"exp_avg": self.exp_avg, "exp_avg_sq": self.exp_avg_sq}
        return {f"{name}.{i}": t for name, each in moments.items() for i, t in enumerate(each)} | {"step": self.step}


def piece_size(sizes: Sequence[int]) -> int:
    """Return the length to split tensors of these sizes into: the shortest whose pieces fit in one launch."""
    more_pieces = TENSORS_PER_LAUNCH - len(sizes)
    if more_pieces <= 0:
        return VALUES_PER_BLOCK
    return min(VALUES_PER_BLOCK, -(-sum(sizes) // (more_pieces * ALIGNMENT)) * ALIGNMENT)


def split(lists: Sequence[Sequence[Tensor]], piece: int) -> list[list[Tensor]]:
    """Split the tensors of parallel lists that have more than `piece` values into pieces. Tensors are split in memory order,
    so those with gaps, or whose n-th tensors differ in layout, stay whole."""
    rows: list[Sequence[Tensor]] = []
    for row in zip(*lists, strict=True):
        if row[0].numel() > piece and len({t.stride() for t in row}) == 1 and _is_dense(row[0]):
            rows += zip(*(t.as_strided((t.numel(),), (1,)).split(piece) for t in row), strict=True)
        else:
            rows.append(row)
    return [list(column) for column in zip(*rows, strict=True)]


def _is_dense(tensor: Tensor) -> bool:
    return tensor.is_contiguous() or (tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last))


def restore_on_overflow(tensors: Sequence[Tensor], before: Sequence[Tensor], overflow: Tensor) -> None:
    """Set the tensors back to their values `before`, if a gradient overflowed."""
    for tensor, old in zip(tensors, before, strict=True):
        tensor.copy_(torch.where(overflow > 0, old, tensor))


class SgdMethod(Method):
    """Stochastic gradient descent with momentum: v ← m·v + gradient, w ← w − lr·v (as in torch.optim.SGD); never fused."""

    def __init__(self, parameters: Sequence[Tensor], rule: Sgd) -> None:
        device = parameters[0].device
        self.lr = ScheduledValue(rule.lr, rule.schedule, device)
        self.momentum = ScheduledValue(1.0, rule.momentum, device)
        super().__init__(parameters, self.lr, self.momentum)
        self.velocity = [torch.zeros_like(p) for p in parameters]

    def update(self, used: Sequence[int], gradients: list[Tensor], overflow: Tensor | None, fused: bool) -> None:  # noqa: ARG002
        weights, velocity = [self.parameters[i] for i in used], [self.velocity[i] for i in used]
        before = None if overflow is None else [t.clone() for t in (*weights, *velocity)]
        torch_private.foreach_mul_(velocity, self.momentum.value)
        torch_private.foreach_add_(velocity, gradients)
        torch_private.foreach_sub_(weights, torch_private.foreach_mul(velocity, self.lr.value))
        if overflow is not None and before is not None:
            restore_on_overflow((*weights, *velocity), before, overflow)

    def tensors(self) -> dict[str, Tensor]:
        return {f"velocity.{i}": tensor for i, tensor in enumerate(self.velocity)}


class LossScaler:
    """Multiplies the loss by a scale, so that small gradients do not vanish in fp16. The scale is halved when a gradient
    overflows, and doubled after 2,000 updates without overflow (Micikevicius et al. 2018, section 3.2; kernels and values as
    in torch.amp.GradScaler)."""

    GROWTH, BACKOFF, INTERVAL = 2.0, 0.5, 2000
    NAMES = frozenset({"scale", "good_updates"})

    def __init__(self, device: torch.device) -> None:
        self.scale = torch.full((1,), 65536.0, device=device)
        self.good_updates = torch.zeros(1, dtype=torch.int32, device=device)

    def scaled(self, loss: Tensor) -> Tensor:
        """Return the loss times the scale."""
        return loss * self.scale.squeeze()

    def unscale(self, gradients: list[Tensor]) -> Tensor:
        """Divide the gradients by the scale, in place. Returns float `[1]`: 1 if one of them is not finite, else 0."""
        overflow = torch.zeros(1, device=self.scale.device)
        torch_private.amp_unscale_(gradients, overflow, self.scale.double().reciprocal().float())
        return overflow

    def adapt(self, overflow: Tensor) -> None:
        """Update the scale after an update with, or without, overflow."""
        torch_private.amp_update_scale_(
            self.scale, self.good_updates, overflow, self.GROWTH, self.BACKOFF, self.INTERVAL
        )

    def tensors(self) -> dict[str, Tensor]:
        return {"scale": self.scale, "good_updates": self.good_updates}
