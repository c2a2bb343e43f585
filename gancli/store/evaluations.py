"""The measurements of a run that its `metrics.jsonl` keeps, each with what it was made with: figures of different numbers of
pictures, or of different data, cannot be compared."""

from collections.abc import Iterable, Mapping
from typing import Any

from gancli.events import Comparison
from gancli.report.jsonl import append, evaluation_row, is_evaluation, is_number
from gancli.store.facts import Facts
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
        return f"{run.metrics}: cannot be written ({error.strerror}); the figures are not kept there"
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


def shown(evaluations: list[Evaluation]) -> list[str]:
    """A line each, the newest first: the newest few of `gan evaluate`; of those made while training the newest and the
    best."""
    training = [each for each in evaluations if "best" in each]
    best = [each for each in training if each["best"]]
    asked = _distinct([each for each in evaluations if "best" not in each])
    chosen = [*asked[:NUM_SHOWN], *training[:1], *best[:1]]
    lines = [_line(each) for each in evaluations if any(each is one for one in chosen)]
    more = len(evaluations) - len(lines)
    return [*lines, f"and {more} more in metrics.jsonl"] if more else lines


def _distinct(evaluations: list[Evaluation]) -> list[Evaluation]:
    """Of those that differ by their time only, the newest."""
    kept: list[Evaluation] = []
    for each in evaluations:
        if not any({**each, "time": ""} == {**other, "time": ""} for other in kept):
            kept.append(each)
    return kept


def _line(each: Evaluation) -> str:
    """`step 500, 2,000 pictures from seed 0, against digits (test), 2026-11-27T11:03:44Z: frechet distance 49.1 ±0.3 (real
    pictures 2.31)  …`."""
    about = [f"step {each['step']:,}"]
    seed = f" from seed {each['seed']}" if "seed" in each else ""
    about.append(f"{counted(each['n'], 'picture', ',')}{seed}" if "n" in each else "number of pictures not recorded")
    split = f" ({each['split']})" if "split" in each else ""
    about += [f"against {each['evaluated_on']}{split}"] if "evaluated_on" in each else []
    about += [each["time"].partition(".")[0].rstrip("Z") + "Z"] if "time" in each else []
    about += ["the best so far"] if each.get("best") else []
    return f"{', '.join(about)}: " + "  ".join(_figure(each, name) for name in each["figures"])


def _figure(each: Evaluation, name: str) -> str:
    error = f" ±{each['errors'][name]:.2g}" if name in each.get("errors", {}) else ""
    real = f" ({each.get('beside', 'real')} {each['real'][name]:.4g})" if name in each.get("real", {}) else ""
    return f"{name} {each['figures'][name]:.4g}{error}{real}"
