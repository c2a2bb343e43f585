"""The measurements of a run that its `metrics.jsonl` keeps, each with what it was made with: figures of different numbers of
pictures, or of different data, cannot be compared."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from gancli.errors import os_problem
from gancli.events import Comparison
from gancli.format import measure, number
from gancli.report.jsonl import append, evaluation_row, is_evaluation, is_number
from gancli.store.facts import Facts
from gancli.store.figures import full_name, higher_is_better, main_first
from gancli.store.rundir import RunDirectory
from gancli.text import counted

NUM_SHOWN = 5
_TEXTS = ("time", "evaluated_on", "split", "beside", "checkpoint", "sha256", "metric")
_COUNTS = ("n", "seed")
_NUMBERS = ("figures", "errors", "real", "real_errors", "counts")

Evaluation = dict[str, Any]


def remember(
    run: RunDirectory, checkpoint: str, facts: Facts, figures: Mapping[str, float], compared: Comparison
) -> str:
    """Add what was found of a checkpoint to `metrics.jsonl` of the directory that it lies in, if that is a run's. Gives what
    to warn of where that cannot be written, as somebody else's, or `""`."""
    if not run.holds_run:
        return ""
    row = evaluation_row(facts.step, figures, compared, checkpoint=checkpoint, sha256=facts.sha256)
    try:
        append(run.metrics, row)
    except OSError as error:
        return f"{os_problem(run.metrics, 'written', error)}; the figures are not kept there"
    return ""


def found(rows: Iterable[Mapping[str, Any]]) -> list[Evaluation]:
    """The measurements among the rows of a metrics file, the newest first."""
    return [_sound(row) for row in rows if is_evaluation(row)][::-1]


def _sound(row: Mapping[str, Any]) -> Evaluation:
    """What of a row is as it should be: the file may be anybody's."""
    kept: Evaluation = {"step": row["step"]}
    kept |= {name: row[name] for name in _TEXTS if isinstance(row.get(name), str)}
    kept |= {name: row[name] for name in _COUNTS if type(row.get(name)) is int}
    kept |= {name: row[name] for name in ("best",) if isinstance(row.get(name), bool)}
    kept |= {name: _numbers(row[name]) for name in _NUMBERS if isinstance(row.get(name), dict)}
    return kept


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in values.items() if is_number(value)}


def shown(evaluations: list[Evaluation], dataset: str | None) -> list[str]:
    """A line for each that is `selected`."""
    lines = [
        f"{describe(each)}: " + "  ".join(_figure(each, name) for name in each["figures"])
        for each in selected(evaluations, dataset, NUM_SHOWN)
    ]
    more = len(evaluations) - len(lines)
    return [*lines, f"and {more} more in metrics.jsonl"] if more else lines


def selected(evaluations: list[Evaluation], dataset: str | None, most: int) -> list[Evaluation]:
    """Those that are shown, the newest first: the newest of `gan evaluate`, of those made while training the newest and the
    best, and the `main` one."""
    training = [each for each in evaluations if "best" in each]
    asked = _distinct([each for each in evaluations if "best" not in each])
    chosen = [
        *asked[:most],
        *training[:1],
        *[each for each in training if each["best"]][:1],
        main(evaluations, dataset),
    ]
    return [each for each in evaluations if any(each is one for one in chosen)]


def main(evaluations: list[Evaluation], dataset: str | None) -> Evaluation | None:
    """The measurement that tells most of the newest model that was measured, with the run's own `dataset` if possible."""
    return max(_own(evaluations, dataset), key=lambda each: (each["step"], *weight(each)), default=None)


def weight(each: Evaluation) -> tuple[int, int]:
    """Of two measurements of one model the one that tells more weighs more: of more pictures, or else with more figures."""
    return each.get("n", 0), len(each["figures"])


@dataclass(frozen=True)
class Best:
    """The figure that tells how good a run's best model is. `n`: images that it was measured with; `evaluated_on`: the
    dataset that they were compared with, of a path the last part. None: not recorded."""

    name: str
    value: float
    step: int
    n: int | None = None
    evaluated_on: str | None = None

    @property
    def rank(self) -> float:
        """The lower, the better."""
        return -self.value if higher_is_better(self.name) else self.value


def best(evaluations: list[Evaluation], dataset: str | None, best_model: Facts | None = None) -> Best | None:
    """The best figure of a run. Its metric is the one of `--eval-metric`, else the first of `main_first`. Measurements on
    the run's own `dataset` count before others, and of those the one of the most images; of several such, the best.
    `best_model`: what `best.safetensors` says, where the run measured it before these `evaluations`."""
    trained_on, own = _last_part(dataset), _own(evaluations, dataset)
    training = [each for each in own if "best" in each]
    candidates = [
        Best(name, value, each["step"], each.get("n"), _data(each) or trained_on)
        for each in own
        if each.get("best", True)
        for name, value in each["figures"].items()
    ]
    if best_model is not None and not any(each["best"] for each in training):
        n = training[0].get("n") if training else None
        last = {name: points[-1] for name, points in best_model.losses.items() if points}
        newest = {name: value for name, (step, value) in last.items() if step == best_model.step}
        candidates += [Best(name, value, best_model.step, n, trained_on) for name, value in newest.items()]
    names = main_first(each.name for each in candidates)
    chosen = {full_name(each["metric"]) for each in training if "metric" in each}
    names = [name for name in names if full_name(name) in chosen] or names
    if not names:
        return None
    same = [each for each in candidates if full_name(each.name) == full_name(names[0])]
    most = max(each.n or 0 for each in same)
    return min((each for each in same if (each.n or 0) == most), key=lambda each: each.rank)


def _own(evaluations: list[Evaluation], dataset: str | None) -> list[Evaluation]:
    """Those on the run's own dataset, as far as is known; all, where there is none."""
    return [each for each in evaluations if _data(each) in (None, _last_part(dataset))] or evaluations


def _data(each: Evaluation) -> str | None:
    return _last_part(each.get("evaluated_on"))


def _last_part(dataset: object) -> str | None:
    """Of a dataset that is a path, as folders are moved."""
    return PurePath(dataset).name or dataset if isinstance(dataset, str) else None


def _distinct(evaluations: list[Evaluation]) -> list[Evaluation]:
    """Of those that differ by their time only, the newest."""
    kept: list[Evaluation] = []
    for each in evaluations:
        if not any({**each, "time": ""} == {**other, "time": ""} for other in kept):
            kept.append(each)
    return kept


def describe(each: Evaluation) -> str:
    """`step 500, 2,000 pictures from seed 0, against digits (test), 2026-11-27T11:03:44Z, the best so far`."""
    seed = f" from seed {each['seed']}" if "seed" in each else ""
    split = f" ({each['split'][:80]})" if "split" in each else ""
    parts = [f"step {each['step']:,}"]
    parts.append(f"{counted(each['n'], 'picture', ',')}{seed}" if "n" in each else "number of pictures not recorded")
    parts += [f"against {each['evaluated_on'][:200]}{split}"] if "evaluated_on" in each else []
    parts += [each["time"].partition(".")[0].rstrip("Z") + "Z"] if "time" in each else []
    parts += ["the best so far"] if each.get("best") else []
    return ", ".join(parts)


def _figure(each: Evaluation, name: str) -> str:
    real = f" ({each.get('beside', 'real')} {number(each['real'][name])})" if name in each.get("real", {}) else ""
    return f"{name} {measure(each['figures'][name], each.get('errors', {}).get(name))}{real}"
