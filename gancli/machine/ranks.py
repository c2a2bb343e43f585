"""Several processes, started by torchrun, that train one model. They use the batch and the random numbers that one process
would use, so the model is the same within rounding, whatever their number.

Each process takes every n-th image of a step's batch. Where a step draws random numbers, each process draws those of the
whole batch and keeps its share; batch norm uses the statistics of the whole batch; gradients are averaged. So all
processes have equal weights, moments and random states, and a run can resume with another number of processes.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from gancli.errors import UsageError
from gancli.machine import torch_private
from gancli.nn import penalties

LIKE: dict[Any, Any] = {torch.randn_like: torch.randn, torch.rand_like: torch.rand}
DRAWN_IN_PLACE = (Tensor.uniform_, Tensor.normal_, Tensor.bernoulli_, Tensor.exponential_, Tensor.random_)


@dataclass(frozen=True)
class Ranks:
    """The rank of this process among `world` processes, of which `local_world` run on this machine; by default one.

    `parts`: more than 1 for one of so many parts of this process's share of a batch (`part`); `rank` and `world` then count
    the parts of all processes.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1
    parts: int = 1

    @property
    def alone(self) -> bool:
        return self.world == 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes files and reports."""
        return self.rank == 0

    def check_batch(self, batch_size: int, parts: Callable[[int], int] = lambda _: 1) -> None:
        """Check that the processes can divide a batch evenly. A variant that splits a batch into `parts(size)` parts must
        split each share as it splits the whole. Raises `UsageError`."""

        def fits(size: int) -> bool:
            return size % (self.world * parts(size)) == 0 and parts(size // self.world) == parts(size)

        if self.alone or fits(batch_size):
            return
        near = min(
            filter(fits, range(self.world, 2 * batch_size + 100 * self.world)), key=lambda size: abs(size - batch_size)
        )
        each = f" in {parts(batch_size)} parts each" if parts(batch_size) > 1 else ""
        raise UsageError(
            f"--batch-size {batch_size}: cannot be divided evenly among {self.world} processes{each}; try {near}"
        )

    @property
    def share(self) -> slice:
        """The slice of a batch's first dimension that this process computes."""
        return slice(self.rank, None, self.world)

    def part(self, index: int, count: int) -> "Ranks":
        """Return the rank of the part that has every `count`-th image of this process's share, from `index` on."""
        return dataclasses.replace(self, rank=self.rank + self.world * index, world=self.world * count, parts=count)

    def as_one_batch(self) -> contextlib.AbstractContextManager[object]:
        """Return a context in which a step on this process's share computes what a step on the whole batch would."""
        return contextlib.nullcontext() if self.alone else AsOneBatch(self)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over all processes, in one all-reduce."""
        if self.alone or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        sum_over_processes_(flat)
        flat /= self.world
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        torch_private.foreach_copy_(list(tensors), [p.view(t.shape) for p, t in zip(parts, tensors, strict=True)])

    def broadcast(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy the first process's tensors to all others."""
        if not self.alone:
            for tensor in tensors.values():
                contiguous = tensor.contiguous()
                dist.broadcast(contiguous, 0)
                tensor.copy_(contiguous)

    def maximum(self, *numbers: int) -> list[int]:
        """Return the maximum over all processes of each number. All processes must call this at the same step."""
        if self.alone:
            return list(numbers)
        highest = torch.tensor(numbers)  # on the CPU, so that nothing waits for the device
        dist.all_reduce(highest, dist.ReduceOp.MAX)
        found: list[int] = highest.tolist()
        return found

    def send(self, words: object) -> None:
        """Send an object from the first process to all others, which `receive` it."""
        dist.broadcast_object_list([words], 0)

    def receive(self) -> Any:
        """Return what the first process sends with `send`."""
        box: list[Any] = [None]
        dist.broadcast_object_list(box, 0)
        return box[0]

    @contextlib.contextmanager
    def main_process_first(self) -> Iterator[None]:
        """Run the body in the first process, then in the others, which find the files that it made."""
        if not self.first:
            self._wait()
        yield
        if self.first:
            self._wait()

    def _wait(self) -> None:
        if not self.alone:
            dist.barrier()


_IDLE = False  # whether `without_reduction` is entered


@torch.library.custom_op("gancli::sum_over_processes_", mutates_args=("tensor",))
def sum_over_processes_(tensor: Tensor) -> None:
    """Replace a tensor by its sum over all processes: one operation, which traces, CUDA graphs and compiled steps
    contain as any other."""
    if not _IDLE:
        dist.all_reduce(tensor)


@contextlib.contextmanager
def without_reduction() -> Iterator[None]:
    """Within it, sums over processes leave tensors as they are: for preparing a step, which may fail in one process."""
    global _IDLE
    before, _IDLE = _IDLE, True
    try:
        yield
    finally:
        _IDLE = before


class AsOneBatch(TorchFunctionMode):
    """Computes a share of a batch as part of the whole: random numbers are drawn for the whole batch and divided, and
    batch norm uses its statistics. The first dimension of random tensors must be that of the batch, or a multiple."""

    def __init__(self, ranks: Ranks) -> None:
        super().__init__()
        self.ranks = ranks

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in (torch.randn, torch.rand, torch.randint):
            return self._share(self._drawn(func, args, dict(kwargs)))
        if func in LIKE:
            like, *how = args
            form = {"device": like.device, "dtype": like.dtype} | kwargs
            return self._share(LIKE[func](*how, size=self._whole(like.shape), **form))
        if func in DRAWN_IN_PLACE:
            (x, *how) = args
            whole = func(torch.empty(self._whole(x.shape), device=x.device, dtype=x.dtype), *how, **kwargs)
            return x.copy_(self._share(whole))
        if func is penalties.penalty_subset:
            return self._penalised(*args)
        if func is F.dropout:
            return self._dropout(*args, **kwargs)
        if func is F.batch_norm:
            return self._batch_norm(*args, **kwargs)
        return func(*args, **kwargs)

    def _drawn(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the random numbers of the whole batch. The size is the last argument, or several numbers, or a keyword."""
        bounds: tuple[Any, ...] = ()
        if "size" in kwargs:
            bounds, size = args, kwargs.pop("size")
        elif func is torch.randint or not isinstance(args[0], int):
            *bounds, size = args  # type: ignore[assignment]
        else:
            size = args
        return func(*bounds, size=self._whole(size), **kwargs)

    def _whole(self, size: Sequence[int]) -> tuple[int, ...]:
        return (size[0] * self.ranks.world, *size[1:])

    def _share(self, whole: Tensor) -> Tensor:
        return whole[self.ranks.share].contiguous()

    def _penalised(self, batch: Tensor) -> penalties.PenaltySubset:
        """Return this process's images among the first eighth of the whole batch; without any, one image of weight 0."""
        ranks = self.ranks
        count = penalties.penalty_subset_size(len(batch) * ranks.world)
        mine = len(range(count)[ranks.share])
        return penalties.PenaltySubset(max(1, mine), len(batch), mine * ranks.world / count)

    def _dropout(self, x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if not training or p == 0:
            return x
        whole = torch.ones(self._whole(x.shape), device=x.device, dtype=x.dtype)
        mask = self._share(F.dropout(whole, p))
        return x.mul_(mask) if inplace else x * mask

    def _batch_norm(
        self, x: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
        bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
    ) -> Tensor:  # fmt: skip
        if not training:
            return F.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)
        if self.ranks.parts > 1:
            raise UsageError("--accumulate: batch norm needs the whole batch at once; omit --accumulate")
        with torch.autocast(x.device.type, enabled=False):
            return _whole_batch_norm(x, running_mean, running_var, weight, bias, momentum, eps, self.ranks.world)


def _whole_batch_norm(
    x: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None, bias: Tensor | None,
    momentum: float, eps: float, world: int,
) -> Tensor:  # fmt: skip
    """Normalise `x`, float `[B, C, …]`, with the mean and variance over all processes (Ioffe & Szegedy 2015)."""
    others = [0, *range(2, x.dim())]
    shape = (1, -1, *[1] * (x.dim() - 2))
    exact = x.float()
    count = world * x.numel() // x.shape[1]
    mean = _sum_over_all(exact.sum(others)) / count
    centred = exact - mean.view(shape)
    variance = _sum_over_all(centred.square().sum(others)) / count
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean, momentum)
            running_var.lerp_(variance * (count / (count - 1)), momentum)
    normal = centred * torch.rsqrt(variance + eps).view(shape)
    if weight is not None and bias is not None:
        normal = normal * weight.view(shape) + bias.view(shape)
    return normal.to(x.dtype)


class _AllReduce(torch.autograd.Function):
    """The sum over all processes; its gradient, of any order, is the sum of the processes' gradients."""

    @staticmethod
    def forward(_ctx: Any, local: Tensor) -> Tensor:
        total = local.clone()
        sum_over_processes_(total)
        return total

    @staticmethod
    def backward(_ctx: Any, *gradients: Any) -> Any:
        return _sum_over_all(gradients[0].contiguous())


def _sum_over_all(local: Tensor) -> Tensor:
    total: Tensor = _AllReduce.apply(local)
    return total
