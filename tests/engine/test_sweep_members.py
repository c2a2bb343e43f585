from pathlib import Path

import pytest

from gancli import catalogue
from gancli.config import RunConfig, fields_of
from gancli.engine.sweep import Axis, members, run_paths
from gancli.errors import GancliError, UsageError

FIELDS = {f.name: f for f in (*fields_of(RunConfig), *fields_of(catalogue.variant_info("vanilla").config_class))}


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
