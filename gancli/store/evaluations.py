"""The metrics, and the evaluations in a run's `metrics.jsonl`. Each evaluation records the images and the dataset that it
was made with: values from different numbers of images, or from different data, are not comparable. Imports no torch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, NamedTuple

from gancli.errors import os_problem
from gancli.events import Comparison
from gancli.format import measure, number
from gancli.report.jsonl import append, evaluation_row
from gancli.report.rows import is_evaluation, is_number
from gancli.store.facts import Facts
from gancli.store.run_directory import RunDirectory
from gancli.text import counted

MAX_SHOWN = 5
FIELDS: Mapping[str, type] = MappingProxyType(
    dict.fromkeys(("time", "evaluated_on", "split", "beside", "checkpoint", "sha256", "metric"), str)
    | {"n": int, "seed": int, "best": bool}
    | dict.fromkeys(("figures", "errors", "real", "real_errors", "counts"), dict)
)
"""The optional fields of an evaluation, with their types; those of `dict` map metrics to numbers."""

Evaluation = dict[str, Any]


class MetricKind(NamedTuple):
    unit: str
    higher_is_better: bool | None  # None: neither


KINDS = MappingProxyType(
    {
        "frechet distance": MetricKind("", False),
        "kernel distance": MetricKind("×10⁻³", False),
        "precision": MetricKind("", True),
        "recall": MetricKind("", True),
        "density": MetricKind("", True),
        "coverage": MetricKind("", True),
        "parzen log-likelihood": MetricKind("nats", True),
        "sliced wasserstein": MetricKind("×10⁻³", False),
        "inception fid": MetricKind("", False),
        "gan-test": MetricKind("%", True),
        "gan-train": MetricKind("%", True),
        "classes found": MetricKind("", True),
        "modes": MetricKind("of 1,000", True),
        "modes kl": MetricKind("nats", False),
        "rarest class": MetricKind("× even", None),
        "commonest class": MetricKind("× even", None),
        "diversity": MetricKind("", None),
        "nearest training image": MetricKind("RMS", None),
        "psnr on Y": MetricKind("dB", True),
        "ssim on Y": MetricKind("", True),
    }
)
SHORT_NAMES = MappingProxyType({"frechet": "frechet distance", "kl": "modes kl", "psnr": "psnr on Y"})
"""The names that `--eval-metric` uses."""
MAIN_METRICS = ("frechet distance", "psnr on Y", "modes", "coverage")


def full_name(name: str) -> str:
    """Return the key into `KINDS` of a metric, without what it was measured at; an unknown name is returned as it is."""
    return SHORT_NAMES.get(name, name).partition(" at ")[0]


def higher_is_better(name: str) -> bool | None:
    """Return whether higher values of a metric are better; None if neither is, or if the metric is unknown."""
    kind = KINDS.get(full_name(name))
    return kind.higher_is_better if kind else None


def main_first(names: Iterable[str]) -> list[str]:
    """Return the metrics of which lower or higher values are better, the most informative one first."""
    order = [*MAIN_METRICS, *KINDS]
    return sorted(filter(lambda n: higher_is_better(n) is not None, names), key=lambda n: order.index(full_name(n)))


def record_evaluation(
    run: RunDirectory, checkpoint: str, facts: Facts, figures: Mapping[str, float], compared: Comparison
) -> str:
    """Append the evaluation of a checkpoint to the `metrics.jsonl` of its directory, if that is a run directory. Returns a
    warning if the file cannot be written, else `""`."""
    if not run.holds_run:
        return ""
    row = evaluation_row(facts.step, figures, compared, checkpoint=checkpoint, sha256=facts.sha256)
    try:
        append(run.metrics, row)
    except OSError as error:
        return f"{os_problem(run.metrics, 'written', error)}; the metrics are not recorded there"
    return ""


def read_evaluations(rows: Iterable[Mapping[str, Any]]) -> list[Evaluation]:
    """Return the evaluations among the rows of a metrics file, newest first."""
    return [_valid(row) for row in rows if is_evaluation(row)][::-1]


def _valid(row: Mapping[str, Any]) -> Evaluation:
    """Return the valid fields of a row, which may come from any program."""
    valid: Evaluation = {"step": row["step"]}
    for name, kind in FIELDS.items():
        value = row.get(name)
        if isinstance(value, dict) and kind is dict:
            valid[name] = {metric: each for metric, each in value.items() if is_number(each)}
        elif type(value) is kind:
            valid[name] = value
    return valid


def summary_lines(evaluations: list[Evaluation], dataset: str | None) -> list[str]:
    """Return a line for each evaluation that `select_shown` returns."""
    lines = [
        f"{describe(each)}: " + "  ".join(_value(each, name) for name in each["figures"])
        for each in select_shown(evaluations, dataset, MAX_SHOWN)
    ]
    more = len(evaluations) - len(lines)
    return [*lines, f"and {more} more in metrics.jsonl"] if more else lines


def select_shown(evaluations: list[Evaluation], dataset: str | None, most: int) -> list[Evaluation]:
    """Return the evaluations to show, newest first: the `most` newest ones of `gan evaluate`, the newest and the best one
    made during training, and the `main_evaluation` one."""
    training = [each for each in evaluations if "best" in each]
    evaluated = [each for each in evaluations if "best" not in each]
    best_so_far = [each for each in training if each["best"]]
    chosen = [*evaluated[:most], *training[:1], *best_so_far[:1], main_evaluation(evaluations, dataset)]
    return [each for each in evaluations if any(each is one for one in chosen)]


def main_evaluation(evaluations: list[Evaluation], dataset: str | None) -> Evaluation | None:
    """Return the most informative evaluation of the newest model evaluated, on the run's own `dataset` if possible."""
    return max(
        _on_own_data(evaluations, dataset), key=lambda each: (each["step"], *informativeness(each)), default=None
    )


def informativeness(each: Evaluation) -> tuple[int, int]:
    """Return how much an evaluation says about a model: its number of images, then its number of metrics."""
    return each.get("n", 0), len(each["figures"])


@dataclass(frozen=True)
class Best:
    """The metric value of a run's best model. `n`: the number of images; `evaluated_on`: the dataset compared with, the last
    part of a path. None: not recorded."""

    name: str
    value: float
    step: int
    n: int | None = None
    evaluated_on: str | None = None

    @property
    def rank(self) -> float:
        """The sort key: lower is better."""
        return -self.value if higher_is_better(self.name) else self.value


def best(evaluations: list[Evaluation], dataset: str | None, best_model: Facts | None = None) -> Best | None:
    """Return the best metric value of a run, among the evaluations with the most images on the run's own `dataset` (on any,
    if there are none on that). The metric is that of `--eval-metric`, else the first of `main_first`.

    `best_model`: the facts of `best.safetensors`, for a run that saved it before the first of these `evaluations`."""
    trained_on, own = _last_part(dataset), _on_own_data(evaluations, dataset)
    training = [each for each in own if "best" in each]
    candidates = [
        Best(name, value, each["step"], each.get("n"), _dataset(each) or trained_on)
        for each in own
        if each.get("best", True)
        for name, value in each["figures"].items()
    ]
    if best_model is not None and not any(each["best"] for each in training):
        n = training[0].get("n") if training else None
        last = {name: points[-1] for name, points in best_model.losses.items() if points}
        candidates += [
            Best(k, value, step, n, trained_on) for k, (step, value) in last.items() if step == best_model.step
        ]
    names = main_first(each.name for each in candidates)
    chosen = {full_name(each["metric"]) for each in training if "metric" in each}
    names = [name for name in names if full_name(name) in chosen] or names
    same = [each for each in candidates if full_name(each.name) == full_name(names[0])] if names else []
    most = max((each.n or 0 for each in same), default=0)
    return min((each for each in same if (each.n or 0) == most), key=lambda each: each.rank, default=None)


def _on_own_data(evaluations: list[Evaluation], dataset: str | None) -> list[Evaluation]:
    """Return the evaluations on the run's own dataset, or on an unknown one; all, if there are none."""
    return [each for each in evaluations if _dataset(each) in (None, _last_part(dataset))] or evaluations


def _dataset(each: Evaluation) -> str | None:
    return _last_part(each.get("evaluated_on"))


def _last_part(dataset: str | None) -> str | None:
    """Return the last part of a dataset's path, as folders may be moved."""
    return dataset and (PurePath(dataset).name or dataset)


def describe(each: Evaluation) -> str:
    """Return `step 500, 2,000 images from seed 0, against digits (test), 2026-11-27T11:03:44Z, the best so far`."""
    seed = f" from seed {each['seed']}" if "seed" in each else ""
    split = f" ({each['split'][:80]})" if "split" in each else ""
    parts = [f"step {each['step']:,}"]
    parts.append(f"{counted(each['n'], 'image', ',')}{seed}" if "n" in each else "number of images not recorded")
    parts += [f"against {each['evaluated_on'][:200]}{split}"] if "evaluated_on" in each else []
    parts += [each["time"].partition(".")[0].rstrip("Z") + "Z"] if "time" in each else []
    parts += ["the best so far"] if each.get("best") else []
    return ", ".join(parts)


def _value(each: Evaluation, name: str) -> str:
    real = f" ({each.get('beside', 'real')} {number(each['real'][name])})" if name in each.get("real", {}) else ""
    return f"{name} {measure(each['figures'][name], each.get('errors', {}).get(name))}{real}"
