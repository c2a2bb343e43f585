"""A step compiled by Inductor as one piece: its trace of forward, backward, update and average.

A compiled step repeats bit for bit: random numbers are drawn by the kernels of a plain step, and nothing is chosen by timing
unless `thorough`. A compiled run is therefore compiled from the first step of a phase on, and again after a resume.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from gancli.machine import torch_private
from gancli.steps import gradient_layouts, trace
from gancli.steps.capture import StepFunction

WARM_UP_CALLS = 3  # before a CUDA graph may hold it: libraries and Triton load their kernels in them


class CompileError(Exception):
    """A step cannot be compiled on this machine; the message is one line."""


class CompiledStep:
    """`run_step`, compiled for inputs with the shapes of `inputs` and for `num_terms` reported terms.

    `state`: all tensors that a step changes; compiling leaves them, and the random state, as they were. `thorough`: kernels
    are chosen by timing. Raises `CompileError`.
    """

    def __init__(
        self, run_step: StepFunction, inputs: Sequence[Tensor], num_terms: int, state: Sequence[Tensor], thorough: bool
    ) -> None:  # fmt: skip
        self._inputs = [tensor.clone() for tensor in inputs]
        self._terms = torch.empty(num_terms, device=self._inputs[0].device)

        with state_restored(state, self._terms.device):
            module, self._arguments = trace.record_operations(lambda: run_step(self._inputs, self._terms))
        if self._terms.is_cuda:
            gradient_layouts.fix(module)
        try:
            with torch.no_grad(), state_restored(state, self._terms.device):
                self._run = torch_private.standalone_compile(module, self._arguments, thorough)
                for _ in range(WARM_UP_CALLS if self._terms.is_cuda else 1):
                    self._run(*self._arguments)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ImportError, OSError) as error:  # of Inductor, of the C++ compiler, of the loader
            raise CompileError(_reason(error)) from error

    @torch.no_grad()
    def __call__(self, inputs: Sequence[Tensor], terms: Tensor) -> None:
        for compiled, new in zip(self._inputs, inputs, strict=True):
            compiled.copy_(new)
        self._run(*self._arguments)
        terms.copy_(self._terms)


def _reason(error: BaseException) -> str:
    """Return the innermost cause in one line: the first line that contains more than the type of the error."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if line and not line.endswith("Error:")), type(error).__name__)[:160]


@contextmanager
def state_restored(state: Iterable[Tensor], device: torch.device) -> Iterator[None]:
    """Put the tensors `state` and the random states of the CPU and of `device` back, on exit, to what they were."""
    tensors = list(state)
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
