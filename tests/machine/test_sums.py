"""The sum over processes as one operation: in a trace, in a CUDA graph, and held back while a step is made ready."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from gancli.machine.ranks import idle, sum_over_processes_
from gancli.steps import trace


@pytest.fixture
def summed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Stands in for another process that has the same numbers; notes how many were sent each time."""
    sent: list[int] = []

    def twice(tensor: torch.Tensor) -> None:
        sent.append(tensor.numel())
        tensor.mul_(2)

    monkeypatch.setattr(dist, "all_reduce", twice)
    return sent


def test_a_trace_holds_it_and_replays_it(summed: list[int]) -> None:
    x = torch.ones(3)

    def step() -> None:
        x.add_(1)
        sum_over_processes_(x)

    with idle():
        module, arguments = trace.recorded(step)
    assert not summed
    assert torch.ops.gancli.sum_over_processes_.default in [node.target for node in module.graph.nodes]
    x.fill_(1)
    with torch.no_grad():
        module(*arguments)
    assert x.tolist() == [4, 4, 4]
    assert summed == [3]


def test_idle_holds_it_back_and_no_longer(summed: list[int]) -> None:
    x = torch.ones(3)
    with idle():
        with idle():
            sum_over_processes_(x)
        sum_over_processes_(x)
    assert (x.tolist(), summed) == ([1, 1, 1], [])
    sum_over_processes_(x)
    assert (x.tolist(), summed) == ([2, 2, 2], [3])


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    dist.init_process_group("nccl", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.usefixtures("one_process")
def test_a_cuda_graph_holds_it() -> None:
    x = torch.ones(1000, device="cuda")
    sum_over_processes_(x)  # the first one makes the communicator, which a capture may not
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        x.add_(1)
        sum_over_processes_(x)
    for _ in range(3):
        graph.replay()
    assert x.tolist() == [4.0] * 1000
