"""The engine's side of a step: minimise what the variant yields, network by network."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from gancli.data.batch import Batch
from gancli.engine.machine import Machine
from gancli.variant import Adam, Optimizer, Phase, Update, constant


class Minimiser:
    """One network's optimizer, with its schedule and, in fp16, its loss scaler."""

    def __init__(self, network: nn.Module, rule: Optimizer, machine: Machine) -> None:
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.rule = rule
        self.ranks = machine.ranks
        self.updates = 0
        self.optimizer: torch.optim.Optimizer
        if isinstance(rule, Adam):
            self.optimizer = torch.optim.Adam(self.parameters, rule.lr, (rule.beta1, rule.beta2), fused=True)
        else:
            self.optimizer = torch.optim.SGD(self.parameters, rule.lr, rule.momentum(0), fused=True)
        self.scaler = torch.amp.GradScaler(machine.device.type, enabled=machine.precision == "fp16")

    def minimise(self, loss: Tensor) -> None:
        """One update of this network alone: gradients of other networks' weights are never computed."""
        self._set_schedule()
        for parameter in self.parameters:
            parameter.grad = None
        torch.autograd.backward(self.scaler.scale(loss), inputs=self.parameters)
        self.ranks.average([p.grad for p in self.parameters if p.grad is not None])
        if isinstance(self.rule, Adam) and not self.scaler.is_enabled():
            self._adam(self.rule)
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        self.updates += 1

    @torch.no_grad()
    def _adam(self, rule: Adam) -> None:
        """What `optimizer.step()` does, bit for bit, by the same kernel: its checks, three times as long as that kernel's
        work on a small network, are left out, and all parameters share one count of steps."""
        trained: list[Tensor] = [p for p in self.parameters if p.grad is not None]
        entries = [self.optimizer.state[p] for p in trained]
        if not entries[0]:
            step = torch.zeros((), device=trained[0].device)
            for parameter, entry in zip(trained, entries, strict=True):
                entry.update(step=step, exp_avg=torch.zeros_like(parameter), exp_avg_sq=torch.zeros_like(parameter))
        entries[0]["step"] += 1
        torch._fused_adam_(
            trained,
            [p.grad for p in trained if p.grad is not None],
            [entry["exp_avg"] for entry in entries],
            [entry["exp_avg_sq"] for entry in entries],
            [],
            [entries[0]["step"]] * len(trained),
            lr=self.optimizer.param_groups[0]["lr"],
            beta1=rule.beta1,
            beta2=rule.beta2,
            eps=self.optimizer.defaults["eps"],
            weight_decay=0.0,
            amsgrad=False,
            maximize=False,
        )

    def _set_schedule(self) -> None:
        (group,) = self.optimizer.param_groups
        if self.rule.schedule is not constant:
            group["lr"] = self.rule.lr * self.rule.schedule(self.updates)
        if not isinstance(self.rule, Adam):
            group["momentum"] = self.rule.momentum(self.updates)

    def tensors(self) -> dict[str, Tensor]:
        """The state that a resume needs, by name: `exp_avg.0` is the first parameter's first moment."""
        named = {
            f"{key}.{index}": value.clone() if key == "step" else value  # one tensor for all: a file has one each
            for index, entries in self.optimizer.state_dict()["state"].items()
            for key, value in entries.items()
            if value is not None
        }
        named["updates"] = torch.tensor(self.updates)
        if self.scaler.is_enabled():
            scaler = self.scaler.state_dict()
            named["scale"] = torch.tensor([scaler["scale"], scaler["_growth_tracker"]], dtype=torch.float64)
        return named

    def restore(self, named: Mapping[str, Tensor]) -> None:
        """Take up the state that `tensors` gave. Raises `KeyError` or `ValueError` if it is not such a state."""
        rest = dict(named)
        self.updates = int(rest.pop("updates"))
        if self.scaler.is_enabled():
            scale, tracker = rest.pop("scale").tolist()
            self.scaler.load_state_dict({**self.scaler.state_dict(), "scale": scale, "_growth_tracker": int(tracker)})
        entries: dict[int, dict[str, Tensor]] = {}
        for name, tensor in rest.items():
            key, _, index = name.rpartition(".")
            parameter = self.parameters[int(index)]
            if tensor.dim() and tensor.shape != parameter.shape:
                raise ValueError(f"{name} has the wrong shape")
            if tensor.dim():  # files are contiguous; fused optimizers need the parameter's own memory layout
                tensor = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)
            entries.setdefault(int(index), {})[key] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": entries})
        if isinstance(self.rule, Adam):
            loaded = list(self.optimizer.state.values())
            for entry in loaded:
                entry["step"] = loaded[0]["step"]


class Stepper:
    """Runs a phase's step."""

    def __init__(self, phase: Phase, networks: Mapping[str, nn.Module], machine: Machine) -> None:
        self.phase = phase
        self.machine = machine
        self.minimisers = {name: Minimiser(networks[name], rule, machine) for name, rule in phase.optimizers.items()}

    def run(self, batch: Batch) -> dict[str, Tensor]:
        """One step of the variant on one batch. Gives the terms it reported, detached scalars on the device."""
        terms: dict[str, Tensor] = {}
        updates = self.phase.step(batch)
        while (update := self._next(updates)) is not None:
            self.minimisers[update.trains].minimise(update.loss)
            terms.update((name, term.detach()) for name, term in update.terms.items())
        return terms

    def _next(self, updates: Iterator[Update]) -> Update | None:
        with self.machine.autocast(), self.machine.ranks.as_one_batch():
            return next(updates, None)
