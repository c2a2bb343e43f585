"""Initialise a run from another model, that of `--init-from` or a pretrained one: tensors that match are copied,
others are reported."""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from gancli.config import fields_of
from gancli.config.run import RANDOM_WEIGHTS
from gancli.engine.matching import Pairs, matching_tensors
from gancli.engine.session import Session
from gancli.errors import UsageError
from gancli.spec import ImageSpec
from gancli.store.facts import Facts
from gancli.store.pretrained import known_name
from gancli.store.state import Weights
from gancli.text import Note, few
from gancli.variant import Variant, on_meta_device


def initialise(session: Session, weights: Weights | None) -> list[str]:
    """Copy `weights` into the networks of a new session, and start the average from them. Only the first process has
    weights, the others None. Returns warnings and notes. Raises `UsageError` if no tensor matches."""
    messages, nothing_matches = list[str](), False
    if weights is not None:
        pairs = matching_pairs(weights, session.variant)
        nothing_matches = not _has_weights(pairs)
        with torch.no_grad():
            for live, saved in pairs.values():
                live.copy_(saved)
        describe = describe_unused if session.plan.requested.init_from is not None else _describe_default
        messages = list(describe(weights, session.variant, pairs))
    if session.ranks.maximum(nothing_matches)[0]:
        raise UsageError(" ".join(messages) or f"--init-from {session.run.init_from}: no weight matches")
    for network in session.variant.networks.values():
        session.ranks.broadcast(network.state_dict())
    session.average.reset()
    return messages


def matching_pairs(weights: Weights, variant: Variant) -> Pairs:
    """Return the tensors of `weights` that match a variant's networks."""
    pairs: Pairs = {}
    channels = weights.facts.images.channels, variant.images.channels
    for name, module in _modules(weights, variant).items():
        found = matching_tensors(module, weights.networks.get(name, weights.generator), *channels)
        pairs |= {f"{name}.{key}": pair for key, pair in found.items()}
    return pairs


def _has_weights(pairs: Pairs) -> bool:
    """Whether a weight matches; biases and counters match nearly any network."""
    return any(live.dim() >= 2 for live, _ in pairs.values())


def _modules(weights: Weights, variant: Variant) -> Mapping[str, nn.Module]:
    """Return the variant's modules that `weights` has tensors of, by name."""
    networks = {name: network for name, network in variant.networks.items() if name in weights.networks}
    return {"generator": variant.generator, **networks} if weights.generator else networks


def _count(names: Iterable[str]) -> int:
    """Return the number of tensors, without batch norm's counters."""
    return sum(not name.endswith("num_batches_tracked") for name in names)


def _names(weights: Weights, variant: Variant) -> list[str]:
    """Return the names of the variant's tensors, without batch norm's counters, in the modules that `weights` has."""
    names = (f"{name}.{key}" for name, module in _modules(weights, variant).items() for key in module.state_dict())
    return [name for name in names if _count([name])]


def _describe_default(weights: Weights, variant: Variant, pairs: Pairs) -> Iterator[str]:
    """Yield a note of the pretrained model that a run starts from by default."""
    missing = [name for name in _names(weights, variant) if name not in pairs]
    but = f", but for {few(missing)}" if missing else ""
    yield Note(
        f"starts from the pretrained {known_name(weights.path)}{but} (--init-from {RANDOM_WEIGHTS}: from random weights)"
    )


def describe_unused(weights: Weights, variant: Variant, pairs: Pairs) -> Iterator[str]:
    """Yield a message about the tensors that are not copied, if there are any."""
    modules, names = _modules(weights, variant), _names(weights, variant)
    missing = [name for name in names if name not in pairs]
    known = {id(parameter) for module in modules.values() for parameter in module.parameters()}
    absent = [name for name, net in variant.networks.items() if not known & {id(p) for p in net.parameters()}]
    if not missing and not absent:
        return
    facts = ["no weight matches"]
    if _has_weights(pairs):
        facts = [f"{_count(pairs)} of {len(names)} tensors copied"]
        facts += [f"not copied, so new: {few(missing)}"] if missing else []
        facts += [f"not in that file, so new: {', '.join(absent)} (a run's states have all networks)"] if absent else []
    helpful = list(_helpful_options(weights, variant)) if missing else []
    if helpful:
        facts.append(f"more would match with the options of that model: {' '.join(helpful)}")
    line = f"--init-from {known_name(weights.path) or weights.path}: " + "; ".join(facts)
    yield line if helpful or not _has_weights(pairs) else Note(line)


def _helpful_options(weights: Weights, variant: Variant) -> Iterator[str]:
    """Yield the options, as flags, with which more tensors would match."""
    now = len(matching_pairs(weights, variant))
    for flag, config, images in _others(weights.facts, variant):
        with contextlib.suppress(UsageError), on_meta_device():  # images that the options do not allow
            if len(matching_pairs(weights, type(variant)(config, images))) > now:
                yield flag


def _others(facts: Facts, variant: Variant) -> Iterator[tuple[str, Any, ImageSpec]]:
    """Yield flag, options and images for each single value that differs in the other model."""
    config, images = variant.config, variant.images
    for field in fields_of(type(config)):
        value = getattr(facts.config, field.name)
        if field.kind is not float and value not in (None, getattr(config, field.name)):
            flag = f"{field.long} {value}"
            if isinstance(value, bool):
                flag = field.long if value else f"--no-{field.long[2:]}"
            with contextlib.suppress(UsageError):  # the other values do not allow it
                yield flag, dataclasses.replace(config, **{field.name: value}), images
    if (size := facts.images.size) != images.size:
        yield f"--image-size {size}", config, dataclasses.replace(images, size=size)
