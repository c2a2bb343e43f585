"""`~` in options, and where data sets lie when nobody has a home."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from gancli.config.paths import check_output, data_root, expanded, input_file, read_file
from gancli.config.run import DATA_ROOT
from gancli.errors import UsageError


@pytest.fixture(params=[None, ""], ids=["no HOME", "an empty HOME"])
def homeless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """No HOME, and a user id that no password file knows; gives the folder for temporary files."""

    def unknown(key: object) -> object:
        raise KeyError(key)

    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    if request.param is not None:
        monkeypatch.setenv("HOME", request.param)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setattr("pwd.getpwnam", unknown)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_home_is_put_in_the_place_of_its_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert expanded("~/x", "--out") == Path("/home/me/x")
    assert expanded("a/~/x", "--out") == Path("a/~/x")


def test_the_home_of_nobody_is_one_line_that_names_the_flag(homeless: Path) -> None:
    del homeless
    with pytest.raises(UsageError, match=r"^--dataset ~bob/x: no user bob; .*\./~bob/x$"):
        expanded("~bob/x", "--dataset")
    with pytest.raises(UsageError, match=r"^--out ~/x: no home directory is known"):
        expanded("~/x", "--out")
    with pytest.raises(UsageError, match=r"^--data-root ~/x: no home directory is known"):
        data_root("~/x")


def test_without_a_home_data_sets_lie_in_a_temporary_folder_of_this_user(homeless: Path) -> None:
    found = data_root(DATA_ROOT)
    assert found.path == homeless / f"gancli-{os.getuid()}"
    assert stat.S_IMODE(found.path.stat().st_mode) == 0o700
    assert str(found.path) in found.note
    assert "--data-root or GAN_DATA" in found.note
    assert data_root(DATA_ROOT) == found


def test_without_a_home_the_place_for_caches_is_taken_where_one_is_named(
    homeless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(homeless / "caches"))
    assert data_root(DATA_ROOT) == (homeless / "caches" / "gancli", "")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # its specification says: ignore it
    assert data_root(DATA_ROOT).path.parent == homeless


def test_a_folder_that_others_can_write_to_is_not_trusted_with_data(homeless: Path) -> None:
    place = homeless / f"gancli-{os.getuid()}"
    place.mkdir()
    place.chmod(0o777)
    with pytest.raises(UsageError, match=r"^--data-root: no home directory .* GAN_DATA"):
        data_root(DATA_ROOT)
    place.rmdir()
    place.symlink_to(homeless)
    with pytest.raises(UsageError, match=r"^--data-root: no home directory"):
        data_root(DATA_ROOT)


def test_a_place_that_is_named_needs_no_home(homeless: Path) -> None:
    assert data_root(homeless / "data") == (homeless / "data", "")


def test_an_empty_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^--out: is empty"):
        expanded("", "--out")
    assert expanded(tmp_path, "--out") == tmp_path


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"words")
    (tmp_path / "link").symlink_to("file")
    assert read_file(tmp_path / "link") == b"words"
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero"), tmp_path / "nothing"):
        with pytest.raises(OSError, match=path.name):
            read_file(path)
        with pytest.raises(UsageError, match=r"^--vgg-weights .*: cannot be read"):
            input_file(path, "--vgg-weights")


def test_an_output_takes_no_pipes_place(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "file.png").write_bytes(b"words")
    for name in ("file.png", "new.png", "nowhere/new.png", "file.png/new.png"):
        check_output(tmp_path / name, "-o")
    with pytest.raises(UsageError, match="not a regular file"):
        check_output(tmp_path / "pipe.png", "-o")
