"""docs/metrics.schema.json, and the page beside it, are what the program writes."""

import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from gancli import catalogue
from gancli.errors import DivergedError
from gancli.events import Comparison
from gancli.report.jsonl import MetricsFile, evaluation_row
from gancli.report.rows import read_metrics
from tests.conftest import ROOT, TINY, Gan, slow_ones
from tests.pictures import noise
from tests.report.facts import evaluated, row, started
from tests.schema import faults

SCHEMA: Any = json.loads((ROOT / "docs" / "metrics.schema.json").read_text("utf-8"))
KINDS = SCHEMA["$defs"]
PAGE = (ROOT / "docs" / "metrics.md").read_text("utf-8")
SMALLEST = {
    "lapgan": ("--coarse-width", 16, "--coarse-d-width", 16, "--width", 8, "--batch-size", 48, "--latent-dim", 8),
    "srgan": (
        "--image-size",
        16,
        "--width",
        4,
        "--blocks",
        1,
        "--d-width",
        4,
        "--pretrain-steps",
        5,
        "--eval-every",
        5,
    ),
}


def wrong(rows: list[dict[str, Any]]) -> list[str]:
    return [fault for each in rows for fault in faults(each, SCHEMA, SCHEMA)]


@pytest.mark.parametrize("variant", slow_ones(catalogue.names(), lambda name: name in ("cgan", "dcgan", "lapgan")))
def test_every_row_of_a_run_is_as_the_schema_has_it(gan: Gan, variant: str) -> None:
    own = SMALLEST.get(variant, ("--width", 8, "--latent-dim", 8))
    for number in range(40):
        path = Path("pics", "ab"[number % 2], f"{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        noise("L", (32, 32)).save(path)
    trained = gan("train", "-v", variant, "-d", "pics", *TINY, *own, "--steps", 10, "--out", "r")
    assert trained.code == 0, trained.err
    if variant == "srgan":
        assert gan("evaluate", "r", "-d", "pics/a").code == 0
    rows = read_metrics(Path("r/metrics.jsonl"))
    assert [each["step"] for each in rows if "epoch" in each] == [5, 10]
    assert [each.get("best") for each in rows if "figures" in each][2:] == ([None] if variant == "srgan" else [])
    assert wrong(rows) == []


def test_the_schema_has_the_names_that_the_program_has(tmp_path: Path) -> None:
    with MetricsFile(tmp_path / "m") as write:
        write(started())
        write(row(100, {}))
        write(row(200, {"d_loss": math.nan}))
        write(evaluated())
        write.__exit__(DivergedError, DivergedError("d_loss became NaN at step 201", 201), None)
    losses, _, measured, diverged = rows = read_metrics(tmp_path / "m")
    assert wrong(rows) == []
    assert (
        set(losses) == set(KINDS["losses"]["required"]) == set(KINDS["losses"]["properties"]) - {"figures", "diverged"}
    )
    assert set(diverged) == set(KINDS["divergence"]["properties"])
    full = {field.name: {"a": 1} if "Mapping" in str(field.type) else 1 for field in dataclasses.fields(Comparison)}
    whole = evaluation_row(1, {}, Comparison(**full), checkpoint="", sha256="")  # type: ignore[arg-type]
    assert set(whole) | set(measured) == set(KINDS["evaluation"]["properties"])


@pytest.mark.parametrize(
    "change",
    [{"step": 1.5}, {"step": -1}, {"step": True}, {"time": "today"}, {"time": None}, {"epoch": None}, {"phase": 1},
     {"d_loss": "high"}, {"figures": {}}, {"memory_bytes": None}],
    ids=str,
)  # fmt: skip
def test_the_schema_refuses_what_no_run_writes(tmp_path: Path, change: dict[str, Any]) -> None:
    with MetricsFile(tmp_path / "m") as write:
        write(started())
        write(row(100))
    (good,) = read_metrics(tmp_path / "m")
    assert wrong([good]) == []
    assert wrong([{**good, **change}])
    for name in KINDS["losses"]["required"]:
        assert wrong([{each: value for each, value in good.items() if each != name}])


def test_the_page_tells_of_every_name_what_the_schema_does() -> None:
    for kind in KINDS.values():
        for name, about in kind["properties"].items():
            if about is not False:
                assert re.search(rf"^\| `{name}` \| .* \| {re.escape(about['description'])} \|$", PAGE, re.MULTILINE), (
                    name
                )
