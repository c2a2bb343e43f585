"""fp16's loss scaler, on the CPU: torch's own GradScaler to the last bit, and taken up exactly by a resume."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from gancli.machine.device import Machine
from gancli.steps.optimizer import LossScaler, NetworkOptimizer
from gancli.variant import Adam, Optimizer, Sgd, constant

FP16 = Machine(torch.device("cpu"), "fp16", 1)
RULES: dict[str, Optimizer] = {"adam": Adam(1e-2, 0.5), "sgd": Sgd(1e-2, momentum=lambda _: 0.5)}


def loss_of(network: nn.Module, step: int) -> Tensor:
    """A loss whose gradients overflow at step 3."""
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(step))
    loss: Tensor = network(x).square().mean()
    return loss * (1e38 if step == 3 else 1.0)


def references(network: nn.Module, rule: Optimizer) -> Callable[[int], None]:
    optimizer: torch.optim.Optimizer
    if isinstance(rule, Adam):
        optimizer = torch.optim.Adam(network.parameters(), rule.lr, (rule.beta1, rule.beta2), fused=True)
    else:
        optimizer = torch.optim.SGD(network.parameters(), rule.lr, rule.momentum(0))
    scaler = torch.amp.GradScaler("cpu")

    def step(number: int) -> None:
        optimizer.zero_grad()
        scaler.scale(loss_of(network, number)).backward()  # type: ignore[no-untyped-call]
        scaler.step(optimizer)
        scaler.update()

    return step


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_scaled_updates_are_torchs_own_and_skip_what_overflows(rule: Optimizer) -> None:
    torch.manual_seed(0)
    ours, theirs = nn.Linear(3, 2), nn.Linear(3, 2)
    theirs.load_state_dict(ours.state_dict())
    optimizer, reference = NetworkOptimizer(ours, rule, FP16), references(theirs, rule)
    assert optimizer.scaler is not None
    for step in range(6):
        before = ours.weight.clone()
        optimizer.prepare()
        optimizer.minimise(loss_of(ours, step))
        reference(step)
        assert torch.equal(before, ours.weight) == (step == 3)
        torch.testing.assert_close(ours.weight, theirs.weight, rtol=1e-6, atol=0)
        assert optimizer.scaler.scale.item() == (65536 if step < 3 else 32768)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("stop", [2, 3, 4])
def test_a_resume_takes_up_scale_and_moments_exactly(rule: Optimizer, stop: int) -> None:
    torch.manual_seed(0)
    whole, parts = nn.Linear(3, 2), nn.Linear(3, 2)
    parts.load_state_dict(whole.state_dict())
    one, two = NetworkOptimizer(whole, rule, FP16), NetworkOptimizer(parts, rule, FP16)
    for step in range(8):
        if step == stop:
            saved = {name: tensor.clone() for name, tensor in two.tensors().items()}
            two = NetworkOptimizer(parts, rule, FP16)
            two.restore(saved)
        for network, optimizer in ((whole, one), (parts, two)):
            optimizer.prepare()
            optimizer.minimise(loss_of(network, step))
    assert torch.equal(whole.weight, parts.weight)
    assert all(torch.equal(tensor, two.tensors()[name]) for name, tensor in one.tensors().items())


def test_the_scale_grows_after_two_thousand_good_updates() -> None:
    scaler = LossScaler(torch.device("cpu"))
    for _ in range(LossScaler.INTERVAL):
        scaler.adapt(scaler.unscale([torch.ones(2)]))
    assert scaler.scale.item() == 131072


def test_a_state_of_another_optimizer_is_refused() -> None:
    adam = NetworkOptimizer(nn.Linear(3, 2), Adam(0.1), FP16)
    sgd = NetworkOptimizer(nn.Linear(3, 2), Sgd(0.1, momentum=constant), FP16)
    with pytest.raises(ValueError, match="missing or unknown"):
        adam.restore(sgd.tensors())
    wrong = adam.tensors() | {"exp_avg.0": torch.zeros(5)}
    with pytest.raises(ValueError, match=r"exp_avg\.0 has the wrong shape"):
        adam.restore(wrong)
