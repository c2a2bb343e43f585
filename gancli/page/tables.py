"""The tables of a page: figures, configuration, machine, and the values of a chart."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from gancli.page.charts import Chart, number
from gancli.page.markup import Markup, joined, tag
from gancli.page.run import Run, Texts
from gancli.store.evaluations import Evaluation, selected
from gancli.text import counted

MOST_MEASUREMENTS = 12  # of `gan evaluate`
NUM_ROWS = 16  # of the table that stands for a chart
ABSENT = "–"


def scrolled(label: str, *inner: Markup) -> Markup:
    """What may be wider than the screen, and is then moved by itself: by keyboard, too."""
    return tag("div", *inner, cls="scroll", role="region", aria_label=label, tabindex=0)


def _table(label: str, heads: Sequence[object], rows: Sequence[Markup], cls: str = "") -> Markup:
    head = tag("tr", *(tag("th", each, scope="col") for each in heads))
    return scrolled(label, tag("table", tag("thead", head), tag("tbody", *rows), cls=cls, aria_label=label))


def values(chart: Chart) -> Markup:
    """What a chart shows, in numbers: some steps of it, evenly spread, with the first and the last."""
    steps = sorted({step for each in chart.series for step, _ in each.points})
    chosen = [steps[i * (len(steps) - 1) // max(1, NUM_ROWS - 1)] for i in range(NUM_ROWS)] if steps else []
    looked_up = [dict(each.points) for each in chart.series]
    rows = [
        tag("tr", tag("th", f"{step:,}", scope="row"), *(_number(found, step) for found in looked_up))
        for step in dict.fromkeys(chosen)
    ]
    return _table(f"{chart.title}: values", ["step", *(each.label for each in chart.series)], rows, "numbers")


def _number(found: Mapping[int, float], step: int) -> Markup:
    """The value at a step, or the one before it where this curve has none there."""
    near = max((each for each in found if each <= step), default=None)
    return tag("td", ABSENT if near is None else number(found[near]))


def figures(run: Run) -> Iterator[Markup]:
    """A table for each measurement that is shown."""
    for each in selected(run.rows.evaluations, run.dataset or None, MOST_MEASUREMENTS):
        beside = each.get("beside", "real pictures")
        rows = [_figure(each, name) for name in list(each["figures"])[:60]]
        yield tag("p", _about(each), cls="about")
        yield _table(f"Figures: {_about(each)}", ["figure", "model", beside], rows, "numbers")


def _figure(each: Evaluation, name: str) -> Markup:
    model = measure(each["figures"][name], each.get("errors", {}).get(name))
    real = measure(each.get("real", {}).get(name), each.get("real_errors", {}).get(name))
    return tag("tr", tag("th", name, scope="row"), tag("td", model), tag("td", real))


def measure(value: float | None, error: float | None) -> str:
    """`12.3 ± 0.4`: the error, where there is one, with two digits."""
    if value is None:
        return ABSENT
    return number(value) + (f" ± {number(float(f'{error:.2g}'))}" if error is not None else "")


def _about(each: Evaluation) -> str:
    """`Step 500, 2,000 pictures against digits (test), while training, the best so far`."""
    told = [f"Step {each['step']:,}"]
    count = counted(each["n"], "picture", ",") if "n" in each else "number of pictures not recorded"
    against = f" against {each['evaluated_on'][:200]}" if "evaluated_on" in each else ""
    split = f" ({each['split'][:80]})" if "split" in each else ""
    told.append(f"{count}{against}{split}")
    told += ["measured while training"] if "best" in each else []
    told += ["the best so far"] if each.get("best") else []
    return ", ".join([*told, *([each["time"][:10]] if "time" in each else [])])


def pairs(texts: Mapping[str, object]) -> Markup:
    """Names and values, in as many columns as there is room for."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in texts.items()), cls="pairs")


def configuration(run: Run) -> Markup:
    """Every option as asked, and what was left open as it came out."""
    shown = dict(run.options)
    for name, value in run.came_to.items():
        asked = run.options.get(name)
        shown[name] = f"{value} (was {asked})" if asked is not None else f"{value} (was left open)"
    return pairs(shown)


def compared(label: str, runs: Sequence[Run], of: Callable[[Run], Texts]) -> Markup:
    """The same of several runs, side by side: what differs first, and marked."""
    texts = [of(run) for run in runs]
    names = list(dict.fromkeys(name for each in texts for name in each))
    differing = [name for name in names if len({each.get(name) for each in texts}) > 1]
    same = [name for name in names if name not in differing]
    heads = [tag("span", label.lower(), cls="unseen"), *(run.name for run in runs)]
    rows = [_compared_row(name, texts) for name in differing]
    shown = (
        _table(f"{label}: what differs", heads, rows, "compared") if rows else tag("p", "No difference.", cls="about")
    )
    if not same:
        return shown
    alike = pairs({name: texts[0][name] for name in same})
    summary = tag("summary", f"The same in all: {len(same)}")
    return joined(shown, tag("details", summary, alike))


def _compared_row(name: str, texts: Sequence[Texts]) -> Markup:
    mark = tag("span", "≠", cls="differs", aria_hidden="true")
    head = tag("th", mark, " ", name, tag("span", " (differs)", cls="unseen"), scope="row")
    return tag("tr", head, *(tag("td", each.get(name, ABSENT)) for each in texts), cls="different")


def asked_and_came_to(run: Run) -> Texts:
    """The options of a run, each with what it came to where it was left open."""
    return run.options | run.came_to
