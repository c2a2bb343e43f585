"""Choose device, precision and threads, by rules instead of timings, so that equal commands give equal bytes."""

import os
import platform
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch

from gancli.config import suggestions
from gancli.config.run import DEVICES
from gancli.errors import UsageError
from gancli.machine import memory
from gancli.machine.cpu_tuning import OneDnn, keep_freed_memory, this_processor
from gancli.machine.ranks import Ranks
from gancli.process import CPUS
from gancli.text import counted

Precision = Literal["fp32", "bf16", "fp16"]
SINGLE_PROCESS = Ranks()
WORTH_TRACING = 200  # steps
WORTH_COMPILING, WORTH_COMPILING_CONVOLUTIONS = 150_000, 50_000  # steps on CUDA
# Steps of a run in which cuDNN times its algorithms: on an H200 that took 1 to 8 s and saved 3 to 8 % of a step, 0.04 ms
# (dcgan) to 0.5 ms (lapgan).
WORTH_TIMING_KERNELS = 50_000
DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Machine:
    """The device, precision and number of CPU threads of a run, and this process's rank."""

    device: torch.device
    precision: Precision
    threads: int
    ranks: Ranks = SINGLE_PROCESS
    onednn: bool = False  # whether large fp32 matrix products run in oneDNN

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context of mixed precision for a forward pass; autocast itself keeps losses and statistics in
        fp32."""
        if self.precision == "fp32":
            return nullcontext()
        # Its cache would sum the gradients of several uses of a weight in half precision.
        return torch.autocast(self.device.type, DTYPES[self.precision], cache_enabled=False)

    def matrix_products(self) -> AbstractContextManager[object]:
        """Return the context in which a step multiplies matrices."""
        return OneDnn() if self.onednn else nullcontext()  # type: ignore[no-untyped-call]

    def configure(self, deterministic: bool, timed: bool = False) -> None:
        """Set this process's threads, denormals, freed memory and TF32, and cuDNN's algorithms: the fastest if `timed`,
        else deterministic ones."""
        torch.set_num_threads(self.threads)
        torch.set_flush_denormal(True)
        if self.device.type == "cpu":
            keep_freed_memory()
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = timed and not deterministic
        torch.backends.cudnn.deterministic = not torch.backends.cudnn.benchmark
        if deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        if deterministic != torch.are_deterministic_algorithms_enabled():  # the call imports Inductor, for seconds
            torch.use_deterministic_algorithms(deterministic)

    def peak_memory_bytes(self) -> int:
        """Return the peak of memory allocated on a CUDA device, else of this process's resident set; 0 if it is
        unknown."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        return memory.peak_bytes()

    def describe(self) -> str:
        """Return `"cuda:0 (NVIDIA H200)"`, `"cpu (x86_64)"` or `"cpu (x86_64) × 4 processes"`."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else platform.machine()
        return f"{self.device} ({name})" + ("" if self.ranks.alone else f" × {self.ranks.world} processes")


def choose_device(asked: str, ranks: Ranks = SINGLE_PROCESS) -> torch.device:
    """Return the device of `--device`: for `auto` CUDA, else MPS, else the CPU. Each of several processes on a machine
    gets a CUDA device of its own. Raises `UsageError` for a device that does not exist."""
    if asked in ("auto", "cuda") and ranks.local_world > 1 and torch.cuda.is_available():
        asked = f"cuda:{ranks.local_rank}"
    elif ranks.local_world > 1 and asked.partition(":")[0] not in ("auto", "cpu"):
        raise UsageError(
            f"--device {asked}: {ranks.local_world} processes on a machine need --device auto, cuda or cpu"
        )
    if asked == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda:0")
        if ranks.local_world > 1:
            return torch.device("cpu")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, _, index = asked.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (index and not (kind == "cuda" and index.isdecimal())):
        hint = suggestions.of_value("--device", asked, DEVICES)
        raise UsageError(f"--device {asked}: must be auto, cpu, cuda, cuda:N or mps{hint}")
    if kind == "cuda":
        if not torch.cuda.is_available():
            raise UsageError(f"--device {asked}: no CUDA device is usable on this machine; try --device cpu or auto")
        if int(index or 0) >= torch.cuda.device_count():
            raise UsageError(f"--device {asked}: this machine has {counted(torch.cuda.device_count(), 'CUDA device')}")
        return torch.device("cuda", int(index or 0))
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UsageError(f"--device {asked}: Metal is not usable on this machine; try --device cpu or auto")
    return torch.device(kind)


def choose_precision(asked: str, device: torch.device, convolutional: bool) -> Precision:
    """Return the precision of `--precision`. For convolutions, `auto` is bf16 on a CUDA device that has it, else fp16
    there, and bf16 on CPUs that are faster in it. Otherwise it is fp32, on CUDA with TF32: fully connected networks on
    an H200 took 233 µs per step in it, and 269 in bf16, whose casts double the number of kernels. Raises `UsageError`
    for fp16 on a CPU."""
    if asked == "auto":
        if device.type == "cuda" and convolutional:
            return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
        faster = device.type == "cpu" and convolutional and this_processor().convolves_faster_in_bf16
        return "bf16" if faster else "fp32"
    if asked == "fp16" and device.type == "cpu":
        raise UsageError("--precision fp16: a CPU cannot train in fp16; use fp32 or bf16")
    assert asked in DTYPES, asked
    return asked


def choose_graph(asked: bool | None, device: torch.device) -> bool:
    """Whether whole steps are captured: by default on CUDA and the CPU. Raises `UsageError` if `--graph` asks for it on
    another device."""
    supported = device.type in ("cuda", "cpu")
    if asked and not supported:
        raise UsageError(f"--graph: requires CUDA or a CPU, and this run uses {device}; omit it")
    return supported if asked is None else asked


def choose_compile(asked: str, device: torch.device, convolutional: bool, steps: int) -> bool:
    """Whether the steps of a phase of `steps` steps are compiled. The length of the whole phase counts, so that a
    resumed run does as before. Raises `UsageError` if `--compile` asks for it on a device without a compiler.

    Measured on one H200, torch 2.11: fully connected networks took 12 to 19 s and saved 0.09 to 0.2 ms per step; a LAPGAN
    80 s and 2.3 ms, an SRResNet 34 s and 1.6 ms. On two CPU cores compiling did not pay off.
    """
    if asked in ("yes", "max") and device.type not in ("cuda", "cpu"):
        raise UsageError(f"--compile: requires CUDA or a CPU, and this run uses {device}; omit it")
    if asked != "auto":
        return asked != "no"
    return device.type == "cuda" and steps >= (WORTH_COMPILING_CONVOLUTIONS if convolutional else WORTH_COMPILING)


def choose_strides(device: torch.device, convolutional: bool, steps: int) -> tuple[int, ...]:
    """Return how many steps may be captured as one, in descending order, where `steps` are left: several where a step is
    so short that its launch matters; none on a CPU for fewer steps than repay a capture, about 200."""
    if device.type == "cpu":
        return (1,) if steps >= WORTH_TRACING else ()
    return (1,) if convolutional else (10, 1)


def choose_timing(compiling: str, steps: int) -> bool:
    """Whether cuDNN times its algorithms in a run of `steps` steps: in a long one that is not compiled, as compiled steps
    must be reproducible. `compiling`: the value of `--compile`."""
    return compiling == "max" or (compiling == "no" and steps >= WORTH_TIMING_KERNELS)


def choose_onednn(device: torch.device, ranks: Ranks) -> bool:
    """Whether large fp32 matrix products run in oneDNN: on CPUs where it is faster, for a single process."""
    return device.type == "cpu" and ranks.alone and this_processor().multiplies_faster_in_onednn


def choose_threads(asked: int | None, step_flop: float, num_processes: int = 1) -> int:
    """Return the number of CPU threads for steps of `step_flop` floating-point operations: one per CPU of this process
    (divided among `num_processes`), and at most one per 50 MFLOP, as threads slow down a small step.

    Measured on two cores (Xeon, AVX-512, torch 2.14): two threads were 1.2 times as fast at 0.2 GFLOP, 1.7 at 2 GFLOP.
    """
    if asked is not None:
        return asked
    cpus = min(len(CPUS), memory.cpu_limit())
    return max(1, int(min(cpus // num_processes, step_flop / 50e6)))
