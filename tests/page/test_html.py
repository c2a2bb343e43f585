"""What a page holds, and what it cannot be made to do."""

import base64
import hashlib
import json
import math
import re
from pathlib import Path

import pytest
from PIL import Image

import gancli
from gancli.page import files
from gancli.page.run_data import RunData, make_names_distinct, of_directory
from gancli.store import run_directory
from gancli.store.run_directory import RunDirectory
from tests.page import made
from tests.page.made import HOSTILE, Seen, evaluation, row


def page(*places: Path) -> Seen:
    runs = [of_directory(place) for place in places]
    make_names_distinct(runs)
    data = files.render(runs)
    assert len(data) < files.MAX_BYTES
    return Seen(data)


def test_all_but_the_curves_can_be_read_without_a_script(tmp_path: Path) -> None:
    log: list[dict[str, object]] = [
        {
            "event": "run_started",
            "device": "cuda:0 (NVIDIA H200)",
            "threads": 4,
            "system": "Linux x86_64",
            "python": "3.11",
        },
        {"event": "warned", "message": "step 40: D is never wrong"},
        {"event": "run_finished", "status": "done"},
    ]
    rows = [*(row(step) for step in range(10, 101, 10)), evaluation(100, best=True), evaluation(100)]
    seen = page(made.run(tmp_path / "mine", rows, log=log))
    for words in (
        "vanilla on digits", "✓ finished", "100", "D is never wrong", "41.23 ±0.51", "real images 15.10",
        "cuda:0 (NVIDIA H200)", "gan train --variant vanilla --steps 100 --seed 3 --width 16", "width 16", "step 100",
        "Linux x86_64",
    ):  # fmt: skip
        assert words in seen.text, words
    assert {"samples", "curves", "metrics", "configuration", "machine", "warnings"} <= {
        a.get("id") for a in seen.all("section")
    }
    (picture, first) = seen.all("img")
    assert str(picture["src"]).startswith("data:image/")
    assert picture["alt"] == "Samples of mine at step 100"
    assert first["alt"] == "Samples of mine at step 10"
    (curve,) = (each for each in seen.data["charts"][0]["series"] if each["label"] == "D loss")
    assert len(curve["positions"]["steps"]) == len(curve["values"]) == 10


def test_a_page_loads_nothing_and_runs_only_its_own_script(tmp_path: Path) -> None:
    data = files.render([of_directory(made.run(tmp_path / "a"))])
    assert not re.search(rb"(?:src|href)=\"(?!data:|#)|url\(|@import", data)
    assert set(re.findall(rb"https?:[^\"'\s]*", data)) == {b"https://github.com/leeoniya/uPlot"}, "a comment"
    assert b"Leon Sorokin" in data
    seen = Seen(data)
    (policy,) = (a["content"] for a in seen.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert str(policy).startswith("default-src 'none'; img-src data:; ")
    (style,) = (text for tag, text in seen.texts if tag == "style")
    (script,) = (text for tag, text in seen.texts if tag == "script" and "use strict" in text)
    for kind, text in (("style", style), ("script", script)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in str(policy)
    for _, attributes in seen.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]


def test_uplot_is_the_version_that_is_written_down() -> None:
    folder = files.FOLDER / "uplot"
    written = json.loads((folder / "version.json").read_text())
    assert f"(v{written['version']})" in (folder / "uPlot.iife.min.js").read_text("utf-8")
    for name, digest in written["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, "python -m tests.vendor_uplot"


def test_nothing_of_a_runs_files_becomes_markup(tmp_path: Path) -> None:
    config = f"variant = 'vanilla'\ndataset = {json.dumps(HOSTILE)}\n{json.dumps(HOSTILE)} = 1\n".replace(
        "\\u202e", "\u202e"
    )
    rows = [row(10, phase="x"), row(20, phase=HOSTILE, **{HOSTILE: 1.0}), row(30, **{HOSTILE: 2.0, "time": HOSTILE}),
            evaluation(30, figures={HOSTILE: 1.0}, evaluated_on=HOSTILE, split=HOSTILE, beside=HOSTILE, best=True),
            evaluation(40, figures={HOSTILE: 2.0}, real={HOSTILE: 2.0}, best=True)]  # fmt: skip
    fields = dict.fromkeys(("message", "device", "system", "reason"), HOSTILE)
    log = [{"event": e, "parameters": {HOSTILE: 3}, **fields}
           for e in ("run_started", "warned", "run_diverged")]  # fmt: skip
    place = made.run(tmp_path / "<b>&'x'", rows, config, log)
    other = made.run(tmp_path / "other" / "<b>&'x'", rows, CONFIG_2, log)
    for seen in (page(place), page(place, other)):
        assert len(seen.all("script")) == 2
        assert len(seen.all("style")) == 1
        assert not seen.all("b")
        assert "alert('x')" in seen.text
        assert "\x1b" not in str(seen.texts)
    raw = files.render([of_directory(place)])
    assert raw.count(b"<script") == 2
    assert b"<script>alert" not in raw


CONFIG_2 = made.CONFIG.replace("seed = 3", "seed = 4").replace("width = 16", "width = 32")


def test_several_runs_stand_side_by_side_with_their_differences_marked(tmp_path: Path) -> None:
    one = made.run(tmp_path / "x" / "run", [*(row(s) for s in (10, 20)), evaluation(20)])
    two = made.run(tmp_path / "y" / "run", [row(s, d_loss=0.5) for s in (10, 20, 30)], CONFIG_2, samples=[20])
    seen = page(one, two)
    assert "2 runs" in seen.text
    assert "≠ seed 3 4" in seen.text
    assert "≠ width 16 32" in seen.text
    assert "≠ dataset" not in seen.text
    assert [series["label"] for series in seen.data["charts"][0]["series"]] == ["x/run", "y/run"]
    assert len(seen.data["charts"]) == 5, "one for each term"
    assert [len(frames) for frames in seen.data["frames"]] == [3, 1]


def test_python_writes_the_same_page(tmp_path: Path) -> None:
    place = made.run(tmp_path / "a")
    assert gancli.write_report(place, tmp_path / "p.html") == tmp_path / "p.html"
    made_now = re.compile(rb"Made by gan .* UTC")
    assert made_now.sub(b"", (tmp_path / "p.html").read_bytes()) == made_now.sub(
        b"", files.render([of_directory(place)])
    )
    with pytest.raises(gancli.GancliError, match=r"0 runs: a page shows 1 to 50"):
        gancli.write_report([], "p.html")


def test_the_state_of_a_run_is_that_of_its_log_or_of_its_rows(tmp_path: Path) -> None:
    started = {"event": "run_started"}
    ends: dict[str, list[dict[str, object]]] = {
        "finished": [{"event": "run_finished", "status": "done"}],
        "stopped": [{"event": "run_finished", "status": "stopped", "reason": "SIGTERM"}],
        "diverged": [{"event": "run_diverged", "message": "g_loss became NaN at step 7"}],
    }
    for state, lines in ends.items():
        assert of_directory(made.run(tmp_path / state, log=[started, *lines])).state == state
    assert of_directory(made.run(tmp_path / "all steps", log=[started])).state == "finished"
    place = made.run(tmp_path / "a", [row(10)], log=[started])
    assert of_directory(place).state == "broken off"
    with run_directory.locked(RunDirectory(place)):
        run = of_directory(place)
    assert (run.state, run.step, run.steps) == ("running", 10, 100)


@pytest.mark.parametrize(
    "rows", [[], [row(10)], [row(10, d_loss=None, g_loss=None)]], ids=["none", "one", "one of NaN"]
)
def test_a_run_of_hardly_any_rows_has_a_page(tmp_path: Path, rows: list[dict[str, object]]) -> None:
    seen = page(made.run(tmp_path / "a", rows, samples=()))
    assert "No samples yet" in seen.text
    assert ("No losses yet" in seen.text) == (not rows)


def test_values_that_are_not_finite_are_gaps_and_a_note(tmp_path: Path) -> None:
    rows = [row(10), row(20, d_loss=None), row(30), row(40, d_loss=math.nan), row(50, d_loss=1e400), row(60)]
    seen = page(made.run(tmp_path / "a", rows))
    assert "3 of 6 rows hold NaN or infinity" in seen.text
    (series,) = (s for chart in seen.data["charts"] for s in chart["series"] if s["label"] == "D loss")
    assert [value is None for value in series["values"]] == [False, True, False, True, True, False]


def test_a_damaged_run_is_shown_as_far_as_it_can_be_read(tmp_path: Path) -> None:
    one, two = made.run(tmp_path / "one"), made.run(tmp_path / "two")
    (one / "config.toml").write_text("[")
    half_rows = b'\xff\x00{"step": -5, "x": 1}\n{"step": 1' + b"0" * 400 + b', "d_loss": 1}\n{"step": 5, "d_loss"'
    (one / "metrics.jsonl").write_bytes(half_rows)
    odd_lines = b'\n{"event": "warned", "message": {}}\n{"event": 3}'
    (one / "log.jsonl").write_bytes(b"\xff{}\n[]\n" + b"[" * 100_000 + odd_lines)
    (two / "ckpt.safetensors").write_bytes(b"no checkpoint")
    (two / "metrics.jsonl").unlink()
    (two / "metrics.jsonl").mkdir()
    (two / "samples" / "step-00000050.png").write_bytes(b"no image")
    Image.new("1", (9000, 9000)).save(two / "samples" / "step-00000060.png")
    (two / "samples" / "step-00000070.png").mkdir()
    seen = page(one, two)
    for words in (
        "config.toml: not TOML", "ckpt.safetensors: not a safetensors file", "metrics.jsonl: cannot be read (Is a",
        "step-00000050.png: cannot be read as a PNG", "9000×9000 pixels are too many", "step-00000070.png: cannot be read",
    ):  # fmt: skip
        assert words in seen.text, words


def test_a_page_stays_below_its_limit_whatever_the_run(tmp_path: Path) -> None:
    place = made.run(
        tmp_path / "a", (row(s, **{f"d_loss_{k}": s * 0.123456 for k in range(20)}) for s in range(1, 4_000))
    )
    noise = Image.effect_noise((350, 350), 90)
    for step in range(1000, 1012):
        noise.save(place / "samples" / f"step-{step:08d}.png")
    for number in range(100):
        (place / "samples" / f"step-{5000 + number:08d}.png").symlink_to(place / "samples" / "step-00001000.png")
    seen = page(place)
    assert 4 <= len(seen.data["frames"][0]) <= 80
    assert seen.data["frames"][0][0][0] == 10, "the first"
    assert seen.data["frames"][0][-1][0] == 5099, "and the last"


def test_fewer_points_keep_the_extremes_of_a_curve(tmp_path: Path) -> None:
    rows = (row(step, d_loss={7_777: 99.0, 8_888: -99.0}.get(step, 1.0)) for step in range(1, 20_001))
    seen = page(made.run(tmp_path / "a", rows))
    (series,) = (s for chart in seen.data["charts"] for s in chart["series"] if s["label"] == "D loss")
    steps = series["positions"]["steps"]
    assert len(steps) < 5_000
    assert {99.0, -99.0} <= set(series["values"])
    assert (steps[0], steps[-1]) == (1, 20_000)


def test_the_newest_of_many_warnings_do_not_fill_the_page(tmp_path: Path) -> None:
    log = [{"event": "warned", "message": f"warning {number} " + "x" * 5000} for number in range(5_00)]
    seen = page(made.run(tmp_path / "a", log=log))
    assert "and 440 more, in log.jsonl" in seen.text


def test_the_page_of_a_run_replaces_only_pages_by_gan(tmp_path: Path) -> None:
    place = made.run(tmp_path / "a")
    assert files.write_page(RunDirectory(place)) == ""
    first = (place / "report.html").read_bytes()
    assert files.write_page(RunDirectory(place)) == ""
    (place / "report.html").write_text("<html>mine</html>")
    assert "was not written by gan" in files.write_page(RunDirectory(place))
    assert (place / "report.html").read_text() == "<html>mine</html>"
    assert b"vanilla on digits" in first


def test_no_run_fails_for_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: list[RunData]) -> bytes:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr(files, "render", failing)
    assert "report.html: not written (a mistake of ours)" in files.write_page(RunDirectory(made.run(tmp_path / "a")))
