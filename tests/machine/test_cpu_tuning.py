"""What depends on the kind of CPU: products by oneDNN, and a heap that keeps its memory."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from gancli.machine import cpu_tuning, torch_private
from gancli.machine.cpu_tuning import OneDnn, parse_cpuinfo

EPYC = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 26
model name\t: AMD EPYC
flags\t\t: fpu avx2 avx512f avx512_bf16

processor\t: 1
vendor_id\t: Another
"""


def test_a_processor_is_known_by_linux_description() -> None:
    epyc = parse_cpuinfo(EPYC)
    assert (epyc.vendor, epyc.family) == ("AuthenticAMD", 26)
    assert {"avx512f", "avx512_bf16"} <= epyc.flags
    assert epyc.multiplies_faster_in_onednn == torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    assert epyc.convolves_faster_in_bf16 == epyc.multiplies_faster_in_onednn
    zen_4 = parse_cpuinfo(EPYC.replace("26", "25"))
    assert (zen_4.multiplies_faster_in_onednn, zen_4.convolves_faster_in_bf16) == (False, epyc.convolves_faster_in_bf16)
    zen_3 = EPYC.replace("26", "25").replace(" avx512f avx512_bf16", "")
    for other in (zen_3, "", "processor : 0\nBogoMIPS : 50.00\n", EPYC.replace("AuthenticAMD", "GenuineIntel")):
        described = parse_cpuinfo(other)
        assert not described.multiplies_faster_in_onednn
        assert not described.convolves_faster_in_bf16


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of what oneDNN multiplied."""
    shapes: list[tuple[int, ...]] = []
    linear = torch_private.onednn_linear

    def counting(x: Tensor, weight: Tensor, *more: Any) -> Tensor:
        shapes.append((*x.shape, weight.shape[0]))
        found: Tensor = linear(x, weight, *more)
        return found

    monkeypatch.setattr(torch_private, "onednn_linear", counting)
    return shapes


def layer_and_slopes(x: Tensor, weight: Tensor, bias: Tensor) -> list[Tensor]:
    """A layer, its gradients, and gradients of its gradients' squares."""
    x, weight, bias = (t.detach().requires_grad_() for t in (x, weight, bias))
    y = torch.nn.functional.linear(x, weight, bias)
    (gradient,) = torch.autograd.grad(torch.tanh(y).sum(), x, create_graph=True)
    return [
        y.detach(),
        gradient.detach(),
        *torch.autograd.grad(gradient.square().sum() + y.square().sum(), [weight, bias]),
    ]


@pytest.mark.parametrize(("batch", "inputs", "units"), [(64, 784, 512), (100, 128, 784), (7, 5, 3), (200, 128, 1)])
def test_products_are_as_exact_by_onednn(
    batch: int, inputs: int, units: int, counted: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against fp64, also where a backward pass multiplies transposed matrices."""
    monkeypatch.setattr(cpu_tuning, "MIN_ONEDNN_FLOP", 0)
    torch.manual_seed(0)
    x, weight, bias = torch.randn(batch, inputs), torch.randn(units, inputs) / inputs**0.5, torch.randn(units)
    exact = layer_and_slopes(x.double(), weight.double(), bias.double())
    plain = layer_and_slopes(x, weight, bias)
    with OneDnn():  # type: ignore[no-untyped-call]
        found = layer_and_slopes(x, weight, bias)
    assert {(batch, inputs, units), (batch, units, inputs), (units, batch, inputs)} <= set(counted)
    for mine, theirs, true in zip(found, plain, exact, strict=True):
        assert mine.dtype == torch.float32
        assert (mine - true).abs().max() <= 2 * (theirs - true).abs().max() + 1e-6 * true.abs().max()


def test_small_products_and_other_dtypes_stay_where_they_are(counted: list[tuple[int, ...]]) -> None:
    large = torch.ones(512, 512)
    with OneDnn():  # type: ignore[no-untyped-call]
        for a in (torch.ones(8, 8), large.double(), large.bfloat16()):
            assert torch.equal(a @ a, torch.full_like(a, len(a)))
        assert counted == []
        assert torch.equal(large @ large, torch.full_like(large, 512))
        assert counted == [(512, 512, 512)]


FAULTS = """
import resource, torch
from gancli.machine.cpu_tuning import keep_freed_memory
torch.set_num_threads(1)
keep_freed_memory()
def step():
    return sum(float(torch.ones(size * 2**20 // 4)[0]) for size in (40, 8, 3))
for _ in range(100):  # until small pieces between the large have found their places
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="for glibc")
def test_a_step_reuses_the_memory_of_the_last() -> None:
    """Without it: 13,000 page faults a step, for 51 MB in pages of 4 KB."""
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 2_000
