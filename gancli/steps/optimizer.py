"""One network's optimizer: what it does on the device, and the little that the host says before a step.

The kernels are those of `torch.optim`, called directly: its checks take three times as long as the kernel's work on a small
network, and a captured step may ask the host nothing. So whatever changes from step to step is either in a tensor on the
device or set by `prepare`.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from gancli.machine import private
from gancli.machine.device import Machine
from gancli.variant import Adam, Optimizer, Schedule, Sgd, constant

EPS = 1e-8  # Kingma & Ba 2015, algorithm 1
# torch's fused kernel gives a block of threads 65,536 values of a tensor, and takes 36 tensors at a launch: the update of a
# small network keeps two to eight processors of a GPU busy for 26 µs. Cut into pieces it is spread over up to 36.
CHUNK, TENSORS_PER_LAUNCH, ALIGNED = 65_536, 36, 1024


class NetworkOptimizer:
    """One network's optimizer, with its schedule and, in fp16, its loss scaler."""

    def __init__(self, network: nn.Module, rule: Optimizer, machine: Machine) -> None:
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.ranks = machine.ranks
        self.method: Method = (AdamMethod if isinstance(rule, Adam) else SgdMethod)(self.parameters, rule)  # type: ignore[arg-type]
        self.scaler = LossScaler(machine.device) if machine.precision == "fp16" else None
        self.updates = 0

    def prepare(self) -> None:
        """The host's part of a step, before it: step size and momentum after as many updates as were done."""
        self.method.prepare(self.updates)

    @property
    def settled(self) -> bool:
        """Whether `prepare` has nothing to change any more."""
        return self.method.settled

    def minimise(self, loss: Tensor) -> None:
        """One update of this network alone: gradients of other networks' weights are never computed."""
        for parameter in self.parameters:
            parameter.grad = None
        torch.autograd.backward(self.scaler.scaled(loss) if self.scaler else loss, inputs=self.parameters)
        used = [index for index, p in enumerate(self.parameters) if p.grad is not None]
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        self.ranks.average(gradients)
        with torch.no_grad():
            overflow = self.scaler.unscale(gradients) if self.scaler else None
            self.method.update(used, gradients, overflow)
            if self.scaler and overflow is not None:
                self.scaler.adapt(overflow)
        self.updates += 1

    def tensors(self) -> dict[str, Tensor]:
        """The state that a resume needs, by name: `exp_avg.0` is the first parameter's first moment."""
        scale = self.scaler.tensors() if self.scaler else {}
        return {**self.method.tensors(), **scale, "updates": torch.tensor(self.updates)}

    def restore(self, named: Mapping[str, Tensor]) -> None:
        """Take up the state that `tensors` gave. Raises `KeyError` or `ValueError` if it is not such a state."""
        # A run that goes on in another precision has no scale to take up, or none to put it into.
        scale = self.scaler.tensors() if self.scaler and set(named) >= LossScaler.NAMES else {}
        own = {**self.method.tensors(), **scale}
        if odd := sorted(set(own) ^ (set(named) - {"updates"} - (LossScaler.NAMES - set(scale)))):
            raise ValueError(f"{', '.join(odd)[:120]} missing or unknown")
        self.updates = int(named["updates"])
        for name, tensor in own.items():
            if tensor.shape != named[name].shape or tensor.dtype != named[name].dtype:
                raise ValueError(f"{name} has the wrong shape or dtype")
            tensor.copy_(named[name])


class Method(Protocol):
    """How gradients become an update. `used`: indices of the parameters that `gradients` belong to; `overflow`: float `[1]`,
    1 where some gradient is not finite, so that nothing may change."""

    by_arithmetic: bool  # update by plain arithmetic rather than by kernels that are hard to join with others

    def prepare(self, updates: int) -> None: ...

    @property
    def settled(self) -> bool: ...

    def update(self, used: Sequence[int], gradients: list[Tensor], overflow: Tensor | None) -> None: ...

    def tensors(self) -> dict[str, Tensor]: ...


class ScheduledValue:
    """A number that the host may change between steps. Unless it never changes it is read from a tensor on the device, so
    that captured steps see it (on a CPU in fp64: as exact as the number)."""

    def __init__(self, base: float, schedule: Schedule, device: torch.device) -> None:
        self.base, self.schedule = base, schedule
        self.now = base * schedule(0)
        self.fixed = schedule is constant
        dtype = torch.float64 if device.type == "cpu" else torch.float32
        self.tensor = None if self.fixed else torch.tensor(self.now, dtype=dtype, device=device)

    def set(self, updates: int) -> None:
        if not self.fixed:
            self.now = self.base * self.schedule(updates)
            if self.tensor is not None:
                self.tensor.fill_(self.now)

    @property
    def value(self) -> float | Tensor:
        return self.now if self.tensor is None else self.tensor


class AdamMethod:
    """Kingma & Ba 2015, by torch's fused kernel: all parameters share one count of steps."""

    def __init__(self, parameters: Sequence[Tensor], rule: Adam) -> None:
        self.parameters, self.rule = parameters, rule
        device = parameters[0].device
        self.lr = ScheduledValue(rule.lr, rule.schedule, device)
        self.step = torch.zeros((), device=device)
        self.exp_avg, self.exp_avg_sq = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
        self.by_arithmetic = False
        self.piece = piece_size([p.numel() for p in parameters]) if device.type == "cuda" else sys.maxsize

    def prepare(self, updates: int) -> None:
        self.lr.set(updates)

    @property
    def settled(self) -> bool:
        return self.lr.fixed

    def update(self, used: Sequence[int], gradients: list[Tensor], overflow: Tensor | None) -> None:
        self.step += 1 if overflow is None else (1 - overflow).squeeze()
        if self.by_arithmetic:
            self._arithmetic(used, gradients, overflow)
            return
        own = [[each[i] for i in used] for each in (self.parameters, self.exp_avg, self.exp_avg_sq)]
        weights, gradients, first, second = cut([own[0], gradients, *own[1:]], self.piece)
        private.fused_adam_(
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

    def _arithmetic(self, used: Sequence[int], gradients: list[Tensor], overflow: Tensor | None) -> None:
        """The same in plain operations, of many tensors each, which a compiler makes one kernel of."""
        weights, first, second = ([each[i] for i in used] for each in (self.parameters, self.exp_avg, self.exp_avg_sq))
        beta1, beta2 = self.rule.beta1, self.rule.beta2
        before = None if overflow is None else [t.clone() for t in (*weights, *first, *second)]
        private.foreach_lerp_(first, gradients, 1 - beta1)
        private.foreach_mul_(second, beta2)
        private.foreach_addcmul_(second, gradients, gradients, 1 - beta2)
        step_size = self.lr.value / (1 - torch.pow(beta1, self.step))
        roots = private.foreach_sqrt(second)
        private.foreach_div_(roots, (1 - torch.pow(beta2, self.step)).sqrt())
        private.foreach_add_(roots, EPS)
        ways = private.foreach_mul(first, step_size.to(self.step.dtype))
        private.foreach_div_(ways, roots)
        private.foreach_sub_(weights, ways)
        if overflow is not None and before is not None:
            keep((*weights, *first, *second), before, overflow)

    def tensors(self) -> dict[str, Tensor]:
        moments = {"exp_avg": self.exp_avg, "exp_avg_sq": self.exp_avg_sq}
        return {f"{name}.{i}": t for name, each in moments.items() for i, t in enumerate(each)} | {"step": self.step}


def piece_size(sizes: Sequence[int]) -> int:
    """How long the pieces of tensors of these sizes should be: as short as one launch of the fused kernel can take them."""
    room = TENSORS_PER_LAUNCH - len(sizes)
    return min(CHUNK, -(-sum(sizes) // (room * ALIGNED)) * ALIGNED) if room > 0 else CHUNK


def cut(lists: Sequence[Sequence[Tensor]], piece: int) -> list[list[Tensor]]:
    """Lists of as many tensors each, of which the n-th ones belong together, with those cut that are longer than `piece`: as
    they lie in memory, so only where they lie there alike and without gaps."""
    rows: list[Sequence[Tensor]] = []
    for row in zip(*lists, strict=True):
        if row[0].numel() > piece and len({t.stride() for t in row}) == 1 and _is_dense(row[0]):
            rows += zip(*(t.as_strided((t.numel(),), (1,)).split(piece) for t in row), strict=True)
        else:
            rows.append(row)
    return [list(column) for column in zip(*rows, strict=True)]


def _is_dense(tensor: Tensor) -> bool:
    return tensor.is_contiguous() or (tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last))


def keep(tensors: Sequence[Tensor], before: Sequence[Tensor], overflow: Tensor) -> None:
    """Put back what tensors were `before`, where some gradient overflowed."""
    for tensor, old in zip(tensors, before, strict=True):
        tensor.copy_(torch.where(overflow > 0, old, tensor))


class SgdMethod:
    """Gradient descent with momentum: v ← m·v + gradient, w ← w − lr·v (as in torch.optim.SGD)."""

    def __init__(self, parameters: Sequence[Tensor], rule: Sgd) -> None:
        self.parameters = parameters
        device = parameters[0].device
        self.lr = ScheduledValue(rule.lr, rule.schedule, device)
        self.momentum = ScheduledValue(1.0, rule.momentum, device)
        self.velocity = [torch.zeros_like(p) for p in parameters]
        self.by_arithmetic = True  # always

    def prepare(self, updates: int) -> None:
        self.lr.set(updates)
        self.momentum.set(updates)

    @property
    def settled(self) -> bool:
        return self.lr.fixed and self.momentum.fixed

    def update(self, used: Sequence[int], gradients: list[Tensor], overflow: Tensor | None) -> None:
        weights, velocity = [self.parameters[i] for i in used], [self.velocity[i] for i in used]
        before = None if overflow is None else [t.clone() for t in (*weights, *velocity)]
        private.foreach_mul_(velocity, self.momentum.value)
        private.foreach_add_(velocity, gradients)
        private.foreach_sub_(weights, private.foreach_mul(velocity, self.lr.value))
        if overflow is not None and before is not None:
            keep((*weights, *velocity), before, overflow)

    def tensors(self) -> dict[str, Tensor]:
        return {f"velocity.{i}": tensor for i, tensor in enumerate(self.velocity)}


class LossScaler:
    """Keeps fp16's small gradients from vanishing: the loss is multiplied by a scale that is halved when one overflows and
    doubled after 2,000 updates without (Micikevicius et al. 2018, section 3.2; torch.amp.GradScaler's own kernels and
    values)."""

    GROWTH, BACKOFF, INTERVAL = 2.0, 0.5, 2000
    NAMES = frozenset({"scale", "good_updates"})

    def __init__(self, device: torch.device) -> None:
        self.scale = torch.full((1,), 65536.0, device=device)
        self.good_updates = torch.zeros(1, dtype=torch.int32, device=device)

    def scaled(self, loss: Tensor) -> Tensor:
        return loss * self.scale.squeeze()

    def unscale(self, gradients: list[Tensor]) -> Tensor:
        """Divide the gradients by the scale, in place. Gives float `[1]`: 1 where one of them is not finite, else 0."""
        overflow = torch.zeros(1, device=self.scale.device)
        private.amp_unscale_(gradients, overflow, self.scale.double().reciprocal().float())
        return overflow

    def adapt(self, overflow: Tensor) -> None:
        private.amp_update_scale_(self.scale, self.good_updates, overflow, self.GROWTH, self.BACKOFF, self.INTERVAL)

    def tensors(self) -> dict[str, Tensor]:
        return {"scale": self.scale, "good_updates": self.good_updates}
