"""CPU settings that depend on the processor and the C library: kept memory, oneDNN's matrix products, bf16 convolutions.

Each was measured on two cores, and can be measured again with `python -m benchmarks`, which times the steps of a preset:
once as it is, once with the setting's function replaced by one that does nothing (or by a property that is False).
"""

import ctypes
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancli.machine import torch_private

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h
NEVER = 2**31 - 1
ZEN_5 = 26  # AMD's family; its AVX-512 is twice as fast as its AVX2. Zen 4 and Zen 3 are 25
MIN_ONEDNN_FLOP = 1e7  # below, oneDNN's start (15 µs on an EPYC) costs what its product saves

aten = torch.ops.aten


@dataclass(frozen=True)
class Processor:
    """`vendor` and `family` as the CPU reports them (0 where unknown); `flags`: its instruction sets."""

    vendor: str
    family: int
    flags: frozenset[str]

    @property
    def multiplies_faster_in_onednn(self) -> bool:
        """Whether oneDNN multiplies fp32 matrices faster than torch's BLAS, MKL, which uses no AVX-512 on AMD.

        Measured with torch 2.14: 2048³ on an EPYC of family 26 at 450 GFLOP/s with oneDNN and 200 with MKL; on family 25
        (Zen 4) at 210 and 170, without a gain in a whole step. To measure again: `a @ b`, inside and outside of
        `OneDnn()`.
        """
        return self._amd_with_onednn and self.family >= ZEN_5 and "avx512f" in self.flags

    @property
    def convolves_faster_in_bf16(self) -> bool:
        """Whether convolutions are faster in bf16 than in fp32.

        Measured with torch 2.14, speed relative to fp32, for a DCGAN and an SRResNet: EPYC of family 26 (Zen 5) 1.6 and
        1.8, of family 25 (Zen 4) 1.4 and 1.7 (fully connected networks: 0.9 to 1.2); Intel Xeon with AVX512_BF16 but
        without AMX 0.7 for the DCGAN. To measure again: `gan train -v dcgan` with `--precision fp32` and `bf16`.
        """
        return self._amd_with_onednn and "avx512_bf16" in self.flags

    @property
    def _amd_with_onednn(self) -> bool:
        return self.vendor == "AuthenticAMD" and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


@cache
def this_processor() -> Processor:
    """Return the processor that Linux describes; elsewhere one of which nothing is known."""
    try:
        return parse_cpuinfo(Path("/proc/cpuinfo").read_text("utf-8", "replace"))
    except OSError:
        return parse_cpuinfo("")


def parse_cpuinfo(text: str) -> Processor:
    """Return the first processor of a text in the form of Linux's `/proc/cpuinfo`."""
    first, _, _ = text.partition("\n\n")
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}
    family = facts.get("cpu family", "")
    return Processor(
        facts.get("vendor_id", ""), int(family) if family.isdecimal() else 0, frozenset(facts.get("flags", "").split())
    )


class OneDnn(torch_private.DispatchMode):  # type: ignore[no-untyped-call]
    """While it is entered, large fp32 matrix products run in oneDNN, those of backward passes included."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is aten.mm.default and _is_large(*args):
            return torch_private.onednn_linear(args[0], args[1].t(), None, "none", [], "")
        if func is aten.addmm.default and not kwargs and args[0].dim() == 1 and _is_large(*args[1:]):
            return torch_private.onednn_linear(args[1], args[2].t(), args[0], "none", [], "")
        return func(*args, **(kwargs or {}))


def _is_large(a: Tensor, b: Tensor) -> bool:
    if not (a.dtype == b.dtype == torch.float32 and a.device.type == "cpu"):
        return False
    return 2 * a.shape[0] * a.shape[1] * b.shape[1] >= MIN_ONEDNN_FLOP


def keep_freed_memory() -> None:
    """Let glibc's heap serve large tensors and never shrink, so that a step reuses the pages of the last one. Does nothing
    without glibc.

    Measured on a DCGAN of 32 px, batch 128, EPYC, glibc 2.36: 19,000 page faults per step became none, and 174 ms became
    154. To measure again: `resource.getrusage(resource.RUSAGE_SELF).ru_minflt` before and after some steps.
    """
    if (mallopt := _of_c_library("mallopt")) is not None:
        mallopt(M_TRIM_THRESHOLD, NEVER)
        mallopt(M_MMAP_MAX, 0)


def release_freed_memory() -> None:
    """Return to the system what `keep_freed_memory` lets the heap keep."""
    if (trim := _of_c_library("malloc_trim")) is not None:
        trim(0)


def _of_c_library(function: str) -> Any:
    """Return a function of glibc, or None on another system, with musl, and in a program without a dynamic C library."""
    try:
        return getattr(ctypes.CDLL(None), function, None) if sys.platform == "linux" else None
    except OSError:
        return None
