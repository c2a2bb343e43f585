"""What the machine is used for: device, precision, threads. Rules, not timings, so that equal commands give equal bytes."""

import os
import platform
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch

from gancli.config import suggestions
from gancli.config.run import DEVICES
from gancli.errors import UsageError
from gancli.machine import room
from gancli.machine.heap import keep_freed_memory
from gancli.machine.processor import this_processor
from gancli.machine.products import Products
from gancli.machine.ranks import Ranks
from gancli.process import CPUS
from gancli.text import counted

Precision = Literal["fp32", "bf16", "fp16"]
ALONE = Ranks()
WORTH_TRACING = 200  # steps
WORTH_COMPILING, WORTH_COMPILING_CONVOLUTIONS = 150_000, 50_000  # steps on CUDA
# Steps of a run in which cuDNN times its algorithms before it chooses: on an H200 that took 1 to 8 s and won 3 to 8 % of a
# step, 0.04 ms (dcgan) to 0.5 ms (lapgan).
WORTH_TIMING_KERNELS = 50_000
DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Machine:
    """The chosen device, arithmetic and number of CPU threads, and this process's place among several."""

    device: torch.device
    precision: Precision
    threads: int
    ranks: Ranks = ALONE
    onednn: bool = False  # whether large fp32 products on the CPU go to oneDNN

    def autocast(self) -> AbstractContextManager[object]:
        """Mixed precision for the forward pass; losses and statistics stay fp32 by autocast's own lists."""
        if self.precision == "fp32":
            return nullcontext()
        # Without its cache, which would add up the gradients of a weight's several uses in half precision.
        return torch.autocast(self.device.type, DTYPES[self.precision], cache_enabled=False)

    def products(self) -> AbstractContextManager[object]:
        """How matrices are multiplied in a step."""
        return Products() if self.onednn else nullcontext()  # type: ignore[no-untyped-call]

    def settle(self, deterministic: bool, timed: bool = False) -> None:
        """Set what is kept per process: threads, denormals, freed memory, TF32, cuDNN's choice of algorithms: the fastest as
        `timed`, or by rule among those that repeat bit for bit."""
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
        """Peak so far: allocated on a CUDA device, else the resident set of this process; 0 where that is not told."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        return room.peak_bytes()

    def describe(self) -> str:
        """`"cuda:0 (NVIDIA H200)"`, `"cpu (x86_64)"` or `"cpu (x86_64) × 4 processes"`."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else platform.machine()
        return f"{self.device} ({name})" + ("" if self.ranks.alone else f" × {self.ranks.world} processes")


def choose_device(asked: str, ranks: Ranks = ALONE) -> torch.device:
    """`auto` is CUDA, else MPS, else the CPU; of several processes on a machine each gets a CUDA device of its own. Raises
    `UsageError` for a device that is not there."""
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
    """`auto` is, for convolutions, bf16 on CUDA that has it, else fp16 there, and bf16 on CPUs that are faster in it; else
    fp32 (on CUDA with TF32: fully connected networks on an H200 took 233 µs a step in it and 269 in bf16, for whose casts
    there are as many kernels again). Raises `UsageError` for fp16 on a CPU."""
    if asked == "auto":
        if device.type == "cuda" and convolutional:
            return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
        faster = device.type == "cpu" and convolutional and this_processor().convolves_faster_in_bf16
        return "bf16" if faster else "fp32"
    if asked == "fp16" and device.type == "cpu":
        raise UsageError("--precision fp16: a CPU cannot train in fp16; use fp32, or bf16")
    assert asked in DTYPES, asked
    return asked


def choose_graph(asked: bool | None, device: torch.device) -> bool:
    """Whether whole steps are captured: unasked, on CUDA and the CPU. Raises `UsageError` where they are asked for and
    cannot be."""
    able = device.type in ("cuda", "cpu")
    if asked and not able:
        raise UsageError(f"--graph: is for CUDA and the CPU, and this run is on {device}; leave it out")
    return able if asked is None else asked


def choose_compile(asked: str, device: torch.device, convolutional: bool, steps: int) -> bool:
    """Whether the step of a phase of `steps` steps is compiled: by the length of the whole phase, so that a resumed run is
    compiled as it was. Raises `UsageError` on devices where it cannot be asked for.

    Measured on one H200, torch 2.11: fully connected networks took 12 to 19 s and won 0.09 to 0.2 ms a step; a LAPGAN 80 s
    and 2.3 ms, an SRResNet 34 s and 1.6 ms. On two CPU cores nothing was won that paid for it.
    """
    if asked in ("yes", "max") and device.type not in ("cuda", "cpu"):
        raise UsageError(f"--compile: is for CUDA and the CPU, and this run is on {device}; leave it out")
    if asked != "auto":
        return asked != "no"
    return device.type == "cuda" and steps >= (WORTH_COMPILING_CONVOLUTIONS if convolutional else WORTH_COMPILING)


def strides(device: torch.device, convolutional: bool, steps: int) -> tuple[int, ...]:
    """How many steps are captured as one in a stretch of `steps`, falling: several where a step is so short that starting it
    would tell. None where the stretch is shorter than what a capture takes: on a CPU, as long as some 200 replays save."""
    if device.type == "cpu":
        return (1,) if steps >= WORTH_TRACING else ()
    return (1,) if convolutional else (10, 1)


def choose_timing(compiling: str, steps: int) -> bool:
    """Whether cuDNN times its algorithms in a run of `steps` steps: where the run is long, and not where it is compiled,
    which is to repeat bit for bit. `compiling`: as for `choose_compile`."""
    return compiling == "max" or (compiling == "no" and steps >= WORTH_TIMING_KERNELS)


def choose_onednn(device: torch.device, ranks: Ranks) -> bool:
    """Whether large fp32 products go to oneDNN: on CPUs that it suits better, for a process on its own."""
    return device.type == "cpu" and ranks.alone and this_processor().outruns_its_blas


def choose_threads(asked: int | None, step_flop: float, num_processes: int = 1) -> int:
    """CPU threads for a network whose step takes `step_flop` floating-point operations: one per CPU that this process may
    use (shared among `num_processes`), but a small step does not repay the hand-over between threads, so it gets one per
    50 MFLOP at most.

    Measured on two cores (Xeon, AVX-512, torch 2.14): two threads won 1.2 times at 0.2 GFLOP, 1.7 times at 2 GFLOP.
    """
    if asked is not None:
        return asked
    cpus = min(len(CPUS), room.cpu_limit())
    return max(1, int(min(cpus // num_processes, step_flop / 50e6)))
