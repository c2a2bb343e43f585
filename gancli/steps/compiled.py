"""One step as one compiled piece: its trace, forward, backward, update and average, through Inductor.

What is compiled repeats bit for bit: random numbers are drawn by the kernels that an eager step calls, and no choice is made
by timing unless `thorough`. So a run that is compiled is so from the first step of a phase on, and after a resume again.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, fx

from gancli.machine import private
from gancli.steps import layouts, trace
from gancli.steps.captured import Step

WARM_UPS = 3  # calls before a CUDA graph may hold it: libraries and Triton load their kernels in them


class CompileError(Exception):
    """A step that cannot be compiled here: one line saying why."""


class CompiledStep:
    """`step`, compiled for inputs of the shapes of `inputs` and `num_terms` reported terms.

    `held`: what a step changes, all of it; making the piece leaves it, and the random state, as they were. Raises
    `CompileError`.
    """

    def __init__(
        self, step: Step, inputs: Sequence[Tensor], num_terms: int, held: Sequence[Tensor], thorough: bool
    ) -> None:  # fmt: skip
        self._inputs = [tensor.clone() for tensor in inputs]
        self._terms = torch.empty(num_terms, device=self._inputs[0].device)

        def do() -> None:
            step(self._inputs, self._terms)

        with undone(held, self._terms.device):
            module, self._arguments = trace.recorded(do)
        if self._terms.is_cuda:
            layouts.settle(module)
        try:
            self._run = self._compiled(module, thorough)
            with undone(held, self._terms.device):
                self._warm_up()
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ImportError, OSError) as error:  # Inductor's own, a compiler's, a loader's
            raise CompileError(_reason(error)) from error

    @torch.no_grad()
    def __call__(self, inputs: Sequence[Tensor], terms: Tensor) -> None:
        for mine, new in zip(self._inputs, inputs, strict=True):
            mine.copy_(new)
        self._run(*self._arguments)
        terms.copy_(self._terms)

    @torch.no_grad()
    def _compiled(self, module: fx.GraphModule, thorough: bool) -> Callable[..., object]:
        return private.standalone_compile(module, self._arguments, thorough)

    @torch.no_grad()
    def _warm_up(self) -> None:
        for _ in range(WARM_UPS if self._terms.is_cuda else 1):
            self._run(*self._arguments)


def _reason(error: BaseException) -> str:
    """The innermost cause in one line: the first that says more than what kind of error it is."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if line and not line.endswith("Error:")), type(error).__name__)[:160]


@contextmanager
def undone(held: Iterable[Tensor], device: torch.device) -> Iterator[None]:
    """What is done within leaves the tensors `held` and the random states as they were."""
    tensors = list(held)
    before = [tensor.detach().clone() for tensor in tensors]
    on_cpu = torch.get_rng_state()
    on_device = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, old in zip(tensors, before, strict=True):
                tensor.copy_(old)
        torch.set_rng_state(on_cpu)
        if on_device is not None:
            torch.cuda.set_rng_state(on_device, device)
