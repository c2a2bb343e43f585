"""What kind of CPU this is, as far as rules depend on it."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

ZEN_5 = 26  # AMD's family; its AVX-512 is twice as fast as its AVX2. Zen 4 and Zen 3 are 25


@dataclass(frozen=True)
class Processor:
    """`vendor` and `family` as the CPU gives them (0 where that is not known); `flags`: its instruction sets."""

    vendor: str
    family: int
    flags: frozenset[str]

    @property
    def outruns_its_blas(self) -> bool:
        """Whether oneDNN multiplies fp32 matrices faster than torch's BLAS, MKL, which uses no AVX-512 on AMD.

        Measured on two cores, torch 2.14: on an EPYC of family 26 2048³ at 450 GFLOP/s against 200; on one of family 25
        (Zen 4) at 210 against 170, and nothing won in a step.
        """
        return self._amd_with_onednn and self.family >= ZEN_5 and "avx512f" in self.flags

    @property
    def convolves_faster_in_bf16(self) -> bool:
        """Whether convolutions in bf16 are faster than in fp32.

        Measured on two cores with torch 2.14, times the speed of fp32, for a DCGAN and an SRResNet: EPYC of family 26
        (Zen 5) 1.6 and 1.8, of family 25 (Zen 4) 1.4 and 1.7 (fully connected networks: 0.9 to 1.2); Intel Xeon with
        AVX512_BF16, but without AMX, 0.7 for the DCGAN.
        """
        return self._amd_with_onednn and "avx512_bf16" in self.flags

    @property
    def _amd_with_onednn(self) -> bool:
        return self.vendor == "AuthenticAMD" and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


@cache
def this_processor() -> Processor:
    """As Linux describes it; elsewhere nothing is known."""
    try:
        return described(Path("/proc/cpuinfo").read_text("utf-8", "replace"))
    except OSError:
        return described("")


def described(cpuinfo: str) -> Processor:
    """The first processor of a text in the form of Linux's `/proc/cpuinfo`."""
    first, _, _ = cpuinfo.partition("\n\n")
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}
    family = facts.get("cpu family", "")
    return Processor(
        facts.get("vendor_id", ""), int(family) if family.isdecimal() else 0, frozenset(facts.get("flags", "").split())
    )
