"""Several values of an option, and the runs that they make."""

from pathlib import Path
from typing import Any

import pytest

from gancli import catalogue
from gancli.config import RunConfig, fields_of
from gancli.engine.sweep import Axis, members, parse_values, run_paths
from gancli.errors import GancliError, UsageError

FIELDS = {f.name: f for f in (*fields_of(RunConfig), *fields_of(catalogue.variant_info("vanilla").config_class))}


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("seed", "0-3", (0, 1, 2, 3)),
        ("seed", "3-3", (3,)),
        ("seed", "0-2,7, 9-10", (0, 1, 2, 7, 9, 10)),
        ("lr", "1e-4,0.001", (1e-4, 1e-3)),
        ("lr", "1,0.5", (1.0, 0.5)),
        ("loss", "hinge,wasserstein", ("hinge", "wasserstein")),
        ("preset", "default,article", ("default", "article")),
        ("compile", "yes,no", ("yes", "no")),
        ("seed", "7", None),
        ("lr", "1e-4", None),
        ("lr", "1-2", None),  # no range of numbers between which there are endless others: one that is none
        ("seed", "-1", None),
        ("seed", "1-", None),
        ("dataset", "a,b", None),
        ("out", "a,b", None),
        ("init_from", "a,b", None),
        ("device", "cpu,cuda", None),
        ("save_every", "1000,10m", None),
        ("max_time", "1,2", None),
        ("variant", "vanilla,cgan", None),
        ("mirror", "yes,no", None),
    ],
)
def test_only_lists_and_ranges_of_what_can_be_several_are_several_values(name: str, text: str, values: Any) -> None:
    assert parse_values(FIELDS[name], text) == values


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("seed", "9-0", "--seed 9-0: 9-0 goes backwards"),
        ("seed", "0,1,0", "--seed 0,1,0: has 0 twice"),
        ("lr", "1e-3,0.001", "has 0.001 twice"),
        ("seed", "0,", "has an empty value"),
        ("seed", "0,x", "--seed x: must be a whole number"),
        ("lr", "0.1,high", "--lr high: must be a number"),
        ("lr", "0.1,5", "--lr 5.0: must be above 0 and at most 1"),
        ("lr", "0.1,nan", "--lr"),
        ("seed", "0-9999999999999999999", "at most 10,000 runs"),
        ("seed", "-1,4", "--seed -1: must be at least 0"),
        ("loss", "hinge,hing", "did you mean hinge?"),
    ],
)
def test_values_that_an_option_cannot_have_are_refused(name: str, text: str, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_values(FIELDS[name], text)
    assert words in str(raised.value)


def axis(name: str, *values: object) -> Axis:
    return Axis(FIELDS[name], values)


def test_several_options_make_every_value_with_every_other() -> None:
    found = members([axis("batch_size", 16, 32), axis("lr", 1e-4, 0.5)])
    assert [member.name for member in found] == [
        "000-batch-size=16,lr=0.0001", "001-batch-size=16,lr=0.5", "002-batch-size=32,lr=0.0001", "003-batch-size=32,lr=0.5",
    ]  # fmt: skip
    assert found[2].values == {"batch_size": 32, "lr": 1e-4}


def test_a_sweep_that_has_grown_finds_its_runs_by_their_values(tmp_path: Path) -> None:
    for member in members([axis("seed", 3, 4)]):
        (tmp_path / member.name).mkdir()
    grown = run_paths(tmp_path, members([axis("seed", 4, 5, 3)]))
    assert [path.name for path in grown] == ["001-seed=4", "001-seed=5", "000-seed=3"]
    assert len(set(grown)) == 3
    assert run_paths(tmp_path / "new", members([axis("seed", 1)])) == [tmp_path / "new" / "000-seed=1"]


def test_too_many_runs_and_too_long_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"give 40,000 runs; a sweep has at most 10,000"):
        members([axis("seed", *range(200)), axis("batch_size", *range(1, 201))])
    many = [Axis(field, (field.default,)) for field in FIELDS.values() if field.kind in (int, float)]
    with pytest.raises(UsageError, match="sweep over fewer options"):
        members(many)
    (tmp_path / "file").touch()
    with pytest.raises(GancliError, match="cannot be listed"):
        run_paths(tmp_path / "file", members([axis("seed", 1)]))
