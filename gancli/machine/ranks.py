"""Several processes under torchrun that train one model, on the batch and with the random numbers that one process would
have: same seed, same model within rounding, whatever their number.

Each process takes every n-th picture of a step's batch. Where the step draws random numbers, every process draws those of
the whole batch and takes its share; batch norm's statistics are the whole batch's; gradients are averaged. So all
processes have the same weights, moments and random state, the first one's state is everybody's, and a run can go on
with another number of processes.
"""

import contextlib
import datetime
import importlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from gancli.errors import GancliError, UsageError
from gancli.machine import meeting, private
from gancli.nn import penalties

DRAWN_IN_PLACE = (Tensor.uniform_, Tensor.normal_, Tensor.bernoulli_, Tensor.exponential_, Tensor.random_)
TIMEOUT = datetime.timedelta(hours=2)  # the first process may be downloading while the others wait


@dataclass(frozen=True)
class Ranks:
    """This process among its `world`; by default, alone."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1

    @property
    def alone(self) -> bool:
        return self.world == 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and reports."""
        return self.rank == 0

    def check_batch(self, batch_size: int, parts: Callable[[int], int] = lambda _: 1) -> None:
        """Raises `UsageError` for a batch that cannot be shared out evenly; also where a variant makes `parts(size)` parts
        of a batch, and would make others of the shares than of the whole: another model would be trained."""

        def fits(size: int) -> bool:
            return size % (self.world * parts(size)) == 0 and parts(size // self.world) == parts(size)

        if self.alone or fits(batch_size):
            return
        near = min(
            filter(fits, range(self.world, 2 * batch_size + 100 * self.world)), key=lambda size: abs(size - batch_size)
        )
        into = f", and so must its {parts(batch_size)} parts" if parts(batch_size) > 1 else ""
        raise UsageError(
            f"--batch-size {batch_size}: is that of all {self.world} processes together, and must divide by them{into}; "
            f"try {near}"
        )

    @property
    def share(self) -> slice:
        """This process's part of a whole batch, along its first dimension."""
        return slice(self.rank, None, self.world)

    def as_one_batch(self) -> contextlib.AbstractContextManager[object]:
        """Within it, a step on this process's share computes what it would as part of the whole batch."""
        return contextlib.nullcontext() if self.alone else AsOneBatch(self)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over all processes: one flat all-reduce."""
        if self.alone or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        sum_over_processes_(flat)
        flat /= self.world
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        private.foreach_copy_(list(tensors), [p.view(t.shape) for p, t in zip(parts, tensors, strict=True)])

    def broadcast(self, tensors: Mapping[str, Tensor]) -> None:
        """Give every process the first one's tensors."""
        if not self.alone:
            for tensor in tensors.values():
                contiguous = tensor.contiguous()
                dist.broadcast(contiguous, 0)
                tensor.copy_(contiguous)

    def highest(self, *numbers: int) -> list[int]:
        """The highest of each number that any process says. All of them have to ask at the same step."""
        if self.alone:
            return list(numbers)
        highest = torch.tensor(numbers)  # on the CPU: the device need not be waited for
        dist.all_reduce(highest, dist.ReduceOp.MAX)
        found: list[int] = highest.tolist()
        return found

    def tell(self, words: object) -> None:
        """From the first process to all others, which `hear` it."""
        dist.broadcast_object_list([words], 0)

    def hear(self) -> Any:
        """What the first process `tell`s."""
        box: list[Any] = [None]
        dist.broadcast_object_list(box, 0)
        return box[0]

    @contextlib.contextmanager
    def first_goes_first(self) -> Iterator[None]:
        """The first process does what is inside, then the others, which find the files that it made."""
        if not self.first:
            self._wait()
        yield
        if self.first:
            self._wait()

    def _wait(self) -> None:
        if not self.alone:
            dist.barrier()


_IDLE = False


@torch.library.custom_op("gancli::sum_over_processes_", mutates_args=("tensor",))
def sum_over_processes_(tensor: Tensor) -> None:
    """Replace a tensor by its sum over all processes: one operation, which a trace, a CUDA graph and a compiled step hold as
    any other."""
    if not _IDLE:
        dist.all_reduce(tensor)


@contextlib.contextmanager
def idle() -> Iterator[None]:
    """Within it nothing is sent and each process has its own sums: to make a step ready, which may fail in one process."""
    global _IDLE
    before, _IDLE = _IDLE, True
    try:
        yield
    finally:
        _IDLE = before


@contextlib.contextmanager
def joined() -> Iterator[Ranks]:
    """Meet the other processes that torchrun started, if it did; part from them at the end."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Ranks()
        return
    # Imported by torch at the first optimizer otherwise, when its default arguments would take hold of the group and keep
    # gloo's threads past its end: at exit they may want Python's lock, and abort the process.
    importlib.import_module("torch.distributed.nn")
    cuda = torch.cuda.is_available()
    meeting.begin("cpu:gloo,cuda:nccl" if cuda else "gloo", TIMEOUT)
    try:
        yield Ranks(
            dist.get_rank(),
            dist.get_world_size(),
            int(os.environ.get("LOCAL_RANK", "0")),
            int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        )
    except RuntimeError as error:
        if not (isinstance(error, dist.DistError) or "gloo" in str(error)):
            raise
        raise GancliError(f"a worker process exited unexpectedly ({str(error).splitlines()[0][:200]})") from error
    finally:
        dist.destroy_process_group()


class AsOneBatch(TorchFunctionMode):
    """Computes a share of a batch as part of the whole: random numbers are drawn for the whole and shared out, batch
    norm takes the whole's statistics. A draw's first dimension is the batch's (or a multiple of it)."""

    def __init__(self, ranks: Ranks) -> None:
        super().__init__()
        self.ranks = ranks

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in (torch.randn, torch.rand):
            size = args[0] if len(args) == 1 and not isinstance(args[0], int) else args
            return self._share(func(self._whole(size), **kwargs))
        if func is torch.randint:
            low, high, size = args
            return self._share(func(low, high, self._whole(size), **kwargs))
        if func is torch.randn_like:
            (like,) = args
            return self._share(torch.randn(self._whole(like.shape), device=like.device, dtype=like.dtype))
        if func in DRAWN_IN_PLACE:
            (x, *how) = args
            whole = func(torch.empty(self._whole(x.shape), device=x.device, dtype=x.dtype), *how, **kwargs)
            return x.copy_(self._share(whole))
        if func is penalties.penalised:
            return self._penalised(*args)
        if func is F.dropout:
            return self._dropout(*args, **kwargs)
        if func is F.batch_norm:
            return self._batch_norm(*args, **kwargs)
        return func(*args, **kwargs)

    def _whole(self, size: Sequence[int]) -> tuple[int, ...]:
        return (size[0] * self.ranks.world, *size[1:])

    def _share(self, whole: Tensor) -> Tensor:
        return whole[self.ranks.share].contiguous()

    def _penalised(self, batch: Tensor) -> penalties.Penalised:
        """This process's pictures among the first eighth of the whole batch; if it has none, one that counts nothing."""
        ranks = self.ranks
        count = penalties.eighth(len(batch) * ranks.world)
        mine = len(range(count)[ranks.share])
        return penalties.Penalised(max(1, mine), len(batch), mine * ranks.world / count)

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
        with torch.autocast(x.device.type, enabled=False):
            return _whole_batch_norm(x, running_mean, running_var, weight, bias, momentum, eps, self.ranks.world)


def _whole_batch_norm(
    x: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None, bias: Tensor | None,
    momentum: float, eps: float, world: int,
) -> Tensor:  # fmt: skip
    """Batch norm (Ioffe & Szegedy 2015) with the mean and variance over all processes' `x`, float `[B, C, …]`."""
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
    """The sum over all processes; so is its gradient's, and that one's."""

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
