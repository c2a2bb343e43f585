"""Device, precision and threads, chosen by rules."""

import os
import subprocess
import sys

import pytest
import torch

from gancli.data import folder
from gancli.errors import UsageError
from gancli.machine import device
from gancli.machine.cpu_tuning import Processor


@pytest.mark.parametrize("asked", ["gpu", "cuda:x", "cpu:1", "tpu", ""])
def test_a_device_that_is_none_is_refused(asked: str) -> None:
    with pytest.raises(UsageError, match="--device"):
        device.choose_device(asked)


def test_a_cpu_computes_in_fp32_unless_told_or_faster_in_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    xeon = Processor("GenuineIntel", 6, frozenset({"avx512f", "avx512_bf16"}))
    zen_4 = Processor("AuthenticAMD", 25, frozenset({"avx512f", "avx512_bf16"}))
    for processor, convolutional, chosen in (
        (xeon, True, "fp32"), (xeon, False, "fp32"), (zen_4, True, "bf16"), (zen_4, False, "fp32"),
    ):  # fmt: skip
        monkeypatch.setattr(device, "this_processor", lambda processor=processor: processor)
        assert device.choose_precision("auto", cpu, convolutional) == chosen
        assert device.choose_precision("bf16", cpu, convolutional) == "bf16"
        assert device.choose_precision("fp32", cpu, convolutional) == "fp32"
    assert device.choose_precision("auto", torch.device("mps"), convolutional=True) == "fp32"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="for Linux")
def test_threads_that_openmp_binds_leave_all_cpus_to_the_run() -> None:
    """As in a batch job: libgomp ties the main thread to the first CPU when torch is imported."""
    ask = (
        "import os, gancli; from gancli.machine.device import choose_threads; "
        "print(len(gancli.CPUS), choose_threads(None, 1e12))"
    )
    bound = {**os.environ, "OMP_PROC_BIND": "true"}
    done = subprocess.run([sys.executable, "-c", ask], env=bound, capture_output=True, text=True, check=True)
    cpus = len(os.sched_getaffinity(0))
    assert done.stdout.split() == [str(cpus), str(cpus)]


@pytest.mark.parametrize("change", ["del os.sched_getaffinity", "os.sched_getaffinity = lambda _: open('/nowhere')"])
def test_where_affinity_is_unknown_all_cpus_count(change: str) -> None:
    code = f"import os; {change}; import gancli; print(len(gancli.CPUS) == os.cpu_count())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "True\n"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="for Linux")
def test_cpus_that_are_taken_away_do_not_end_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    folder._on_any_cpu()
