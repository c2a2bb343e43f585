"""How a run starts from another model's weights: what fits by name and shape is taken, what does not is named."""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gancli.config import Field, fields_of
from gancli.data.spec import ImageSpec
from gancli.engine.session import Session
from gancli.errors import UsageError
from gancli.store.facts import Facts
from gancli.store.names import name_of
from gancli.store.state import Weights
from gancli.text import Note
from gancli.variant import Variant, on_meta

NAMED = 3  # tensors, in a message
Pairs = dict[str, tuple[Tensor, Tensor]]  # name → the live tensor, and the one to take


def take_up(session: Session, weights: Weights | None) -> list[str]:
    """Give the networks of a session that has not begun the first process's `weights` (the others have None), and start the
    average from them. Gives what to tell. Raises `UsageError` where none fits."""
    words = list[str]()
    nothing = False
    if weights is not None:
        pairs = fitting(weights, session.variant)
        nothing = no_start(pairs)
        with torch.no_grad():
            for live, saved in pairs.values():
                live.copy_(saved)
        words = list(told(weights, session.variant, pairs))
    if session.ranks.highest(nothing)[0]:
        raise UsageError(" ".join(words) or f"--init-from {session.run.init_from}: none of its weights fits")
    for network in session.variant.networks.values():
        session.ranks.broadcast(network.state_dict())
    session.average.start_over()
    return words


def fitting(weights: Weights, variant: Variant) -> Pairs:
    """What of `weights` fits a variant's networks."""
    pairs: Pairs = {}
    for place, module in _places(weights, variant).items():
        found = weights.networks.get(place, weights.generator)
        for name, live in module.state_dict().items():
            saved = found.get(name)
            if saved is not None and saved.shape == live.shape and saved.dtype == live.dtype:
                pairs[f"{place}.{name}"] = (live, saved)
    return pairs


def no_start(pairs: Pairs) -> bool:
    """Whether there is no weight among what fits, but biases and counters at most, which fit nearly anything."""
    return all(live.dim() < 2 for live, _ in pairs.values())


def _places(weights: Weights, variant: Variant) -> Mapping[str, nn.Module]:
    """The variant's modules that the weights are of, by name."""
    if not weights.networks:
        return {"generator": variant.generator}
    return {name: network for name, network in variant.networks.items() if name in weights.networks}


def _count(names: Iterable[str]) -> int:
    """How many of these tensors were learnt or measured: not batch norm's counters."""
    return sum(not name.endswith("num_batches_tracked") for name in names)


def told(weights: Weights, variant: Variant, pairs: Pairs) -> Iterator[str]:
    """A line about what is not taken, if anything is not."""
    places = _places(weights, variant)
    names = [f"{place}.{name}" for place, module in places.items() for name in module.state_dict()]
    missing = [name for name in names if name not in pairs and _count([name])]
    known = {id(parameter) for module in places.values() for parameter in module.parameters()}
    anew = [name for name, net in variant.networks.items() if not known & {id(p) for p in net.parameters()}]
    if not missing and not anew:
        return
    words = []
    if no_start(pairs):
        words.append("none of its weights fits")
    else:
        words.append(f"{_count(pairs)} of {_count(names)} tensors taken")
        if missing:
            words.append(f"not {', '.join(missing[:NAMED])}{', …' if len(missing) > NAMED else ''}, which start anew")
        if anew:
            words.append(f"{', '.join(anew)} not in it, and anew (in the states of a run are all networks)")
    helps = list(_helping(weights, variant)) if missing else []
    if helps:
        words.append(f"it was trained with {' '.join(helps)}, with which more would fit")
    line = f"--init-from {name_of(weights.path) or weights.path}: " + "; ".join(words)
    yield line if helps or no_start(pairs) else Note(line)


def _helping(weights: Weights, variant: Variant) -> Iterator[str]:
    """The options whose value in the other model would let more of it fit, as flags."""
    now = len(fitting(weights, variant))
    for flag, config, images in _others(weights.facts, variant):
        with contextlib.suppress(UsageError), on_meta():  # pictures that the options do not fit
            if len(fitting(weights, type(variant)(config, images))) > now:
                yield flag


def _others(theirs: Facts, variant: Variant) -> Iterator[tuple[str, Any, ImageSpec]]:
    """The variant's options and pictures with one value as the other model has it, and the flag for that."""
    for field in fields_of(type(variant.config)):
        value = getattr(theirs.config, field.name)
        if field.kind is not float and value not in (None, getattr(variant.config, field.name)):
            with contextlib.suppress(UsageError):  # beside the other values it cannot be
                yield _as_flag(field, value), dataclasses.replace(variant.config, **{field.name: value}), variant.images
    if (size := theirs.images.size) != variant.images.size:
        yield f"--image-size {size}", variant.config, dataclasses.replace(variant.images, size=size)


def _as_flag(field: Field, value: object) -> str:
    if isinstance(value, bool):
        return field.long if value else f"--no-{field.long[2:]}"
    return f"{field.long} {value}"
