"""`gan sample --seeds`, and what the PNG files say about the images in them."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gancli
from gancli.config.seeds import format_seeds, parse_seeds
from tests.cli.test_errors import assert_one_line
from tests.conftest import Finished, Gan, gan_process, sha256
from tests.engine.test_resume import train_args


def texts(path: "str | Path | io.BytesIO") -> dict[str, str]:
    with Image.open(path) as image:
        image.load()
        return dict(image.text)  # type: ignore[attr-defined]


@pytest.fixture
def conditional(finished: Finished) -> Path:
    return finished(*train_args("cgan"), "--steps", 4)


def test_each_image_of_a_list_is_that_of_its_seed_alone(gan: Gan, trained: Path) -> None:
    seeds = [17, 5, 9, 10, 11, 40]
    for output in ("all/", "all.npz", "all.png"):
        assert gan("sample", trained, "--seeds", "17,5, 9-11,40", "-o", output).code == 0
    for seed in seeds:
        assert gan("sample", trained, "--seed", seed, "-n", 1, "-o", f"{seed}/").code == 0
        assert gan("sample", trained, "--seed", seed, "-n", 1, "-o", f"{seed}.png").code == 0
        name = f"seed-{seed:06d}.png"
        assert len({sha256(Path(file)) for file in (f"all/{name}", f"{seed}/{name}", f"{seed}.png")}) == 1
    assert len(list(Path("all").iterdir())) == len(seeds)
    with np.load("all.npz") as loaded, Image.open("all.png") as grid:
        assert loaded["seeds"].tolist() == seeds
        for index, seed in enumerate(seeds):
            left, top = index % 3 * 10, index // 3 * 10
            with Image.open(f"{seed}.png") as alone:
                assert np.array_equal(loaded["images"][index, :, :, 0], np.asarray(alone))
                assert grid.crop((left, top, left + 8, top + 8)).tobytes() == alone.tobytes()


def test_a_seed_may_be_repeated_to_compare_classes(gan: Gan, conditional: Path) -> None:
    assert gan("sample", conditional, "--seeds", "5,5,5", "--label", "0-2", "-o", "a.npz").code == 0
    with np.load("a.npz") as loaded:
        assert (loaded["seeds"].tolist(), loaded["labels"].tolist()) == ([5, 5, 5], [0, 1, 2])
        for label in range(3):
            assert gan("sample", conditional, "--seed", 5, "-n", 1, "-l", label, "-o", "b.npz").code == 0
            with np.load("b.npz") as alone:
                assert np.array_equal(alone["images"][0], loaded["images"][label])


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ("", "--seeds: must be seeds and ranges, such as 1,5,9-12; '' is neither"),
        ("1,,2", "'' is neither"),
        ("-3", "'-3' is neither"),
        ("1.5", "'1.5' is neither"),
        ("1-2-3", "'1-2-3' is neither"),
        ("٣", "'٣' is neither"),
        ("12-9", "the range 12-9 must ascend: 9-12"),
        (str(2**63), "at most 2^63-1"),
        (f"{10**29}", "at most 2^63-1"),
        ("0-1000000", "must be at most 1000000 seeds, not 1000001"),
        (f"0-{2**63 - 1}", "must be at most 1000000 seeds"),
    ],
)
def test_a_bad_list_is_refused(gan: Gan, trained: Path, seeds: str, message: str) -> None:
    assert_one_line(gan("sample", trained, f"--seeds={seeds}", "-o", "a.png"), 2, "--seeds", message)
    assert not Path("a.png").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("-n", 3), "-n 3: contradicts --seeds, which has 4 seeds"),
        (("-n", 64), "-n 64: contradicts --seeds"),
        (("--seed", 0), "--seed 0: contradicts --seeds, which begins with 7"),
        (("--walk", 2, "-o", "a.gif"), "--walk, which visits consecutive seeds"),
        (("-i", "x.png"), "--seeds 7,1-3: applies to generating images"),
    ],
)
def test_what_contradicts_a_list_is_refused(gan: Gan, trained: Path, args: tuple[object, ...], message: str) -> None:
    assert_one_line(gan("sample", trained, "--seeds", "7,1-3", *args), 2, message)


def test_what_agrees_with_a_list_is_accepted(gan: Gan, trained: Path) -> None:
    outcome = gan("sample", trained, "--seeds", "7,1-3", "-n", 4, "--seed", 7, "-o", "a.png", "--json")
    assert outcome.code == 0
    shown = json.loads(outcome.out)
    assert (shown["count"], shown["seed"], shown["seeds"]) == (4, 7, [7, 1, 2, 3])


def test_lists_are_read_as_they_are_written() -> None:
    for seeds in ((1,), (3, 2, 1), (1, 2, 3, 5, 5, 6), (2**63 - 2, 2**63 - 1, 0)):
        assert parse_seeds(format_seeds(seeds)) == seeds
    assert format_seeds([1, 5, 9, 10, 11, 12]) == "1,5,9-12"


def test_python_takes_seeds_as_numbers_or_text(gan: Gan, conditional: Path) -> None:
    model = gancli.load(conditional, device="cpu")
    assert gan("sample", conditional, "--seeds", "8,2-4", "--device", "cpu", "-o", "typed.png").code == 0
    for seeds in ("8,2-4", [8, 2, 3, 4], (np.int64(8), 2, 3, 4), np.array([8, 2, 3, 4])):
        samples = model.sample(seeds=seeds)
        assert samples.seeds.tolist() == [8, 2, 3, 4]
        samples.save("called.png")
        assert sha256(Path("called.png")) == sha256(Path("typed.png"))
    assert model.sample(seeds=range(3, 5)).seeds.tolist() == [3, 4]
    assert model.sample(seeds=6).seeds.tolist() == [6]
    captioned = model.sample(2, captions=True)
    captioned.save("captions.png")
    with Image.open("captions.png") as image:
        assert image.tobytes() == captioned.grid().tobytes()
        assert captioned.grid(columns=1).height > image.height


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": []}, "seeds: is empty"),
        ({"seeds": [1.5]}, "seeds: must be whole numbers"),
        ({"seeds": np.array([0.5])}, "seeds: must be whole numbers"),
        ({"seeds": "x"}, "seeds=x: must be seeds and ranges"),
        ({"seeds": [-1]}, "seeds=-1: must be seeds and ranges"),
        ({"seeds": [2**63]}, "a seed is at most 2\\^63-1"),
        ({"seeds": range(10**12)}, "at most 1000000 seeds"),
        ({"seeds": [1, 2], "n": 3}, "n=3: contradicts seeds, which has 2 seeds"),
        ({"seeds": [1, 2], "seed": 3}, "seed=3: contradicts seeds"),
    ],
)
def test_bad_seeds_in_python_are_refused(conditional: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(gancli.GancliError, match=message):
        gancli.load(conditional).sample(**options)  # type: ignore[arg-type]


def test_a_png_says_what_made_it(gan: Gan, conditional: Path) -> None:
    weights = json.loads(gan("inspect", conditional, "--json").out)["sha256"]
    always = {"Software": "gancli", "model": conditional.name, "variant": "cgan", "sha256": weights}
    options = ("--seeds", "4-6,9", "-l", "3,1", "--truncation", 0.5)
    for _ in range(2):
        assert gan("sample", conditional, *options, "-o", "grid.png").code == 0
        found = texts("grid.png")
        assert found == always | {"seeds": "4-6,9", "label": "3,1", "truncation": "0.5"}
    assert gan("sample", conditional, "-n", 2, "-l", "7", "-o", "out/").code == 0
    assert texts("out/seed-000001-label-7.png") == always | {"seed": "1", "label": "7"}
    assert gan("sample", conditional, "-n", 2, "-o", "short.png").code == 0
    assert texts("short.png")["label"] == "0,1"
    again = ("--seeds", found["seeds"], "-l", found["label"], "--truncation", found["truncation"])
    assert gan("sample", conditional, *again, "-o", "again.png").code == 0
    assert sha256(Path("again.png")) == sha256(Path("grid.png"))


def test_the_png_on_stdout_is_that_of_a_file(trained: Path, gan: Gan) -> None:
    piped = gan_process("sample", trained, "-n", 4, "--device", "cpu", "-o", "-").stdout
    assert gan("sample", trained, "-n", 4, "--device", "cpu", "-o", "a.png").code == 0
    assert piped == Path("a.png").read_bytes()
    assert texts(io.BytesIO(piped))["seeds"] == "0-3"
    assert "label" not in texts("a.png")


def test_a_pretrained_model_is_named_and_no_path_is_written(gan: Gan) -> None:
    assert gan("sample", "digits", "-n", 1, "-o", "a.png").code == 0
    assert texts("a.png")["model"] == "digits"
    Path("mine.safetensors").write_bytes(gancli.load("digits").path.read_bytes())
    assert gan("sample", Path("mine.safetensors").absolute(), "-n", 1, "-o", "b.png").code == 0
    assert texts("b.png")["model"] == "mine"


def test_samples_of_a_run_say_step_and_seeds(trained: Path) -> None:
    last = max((trained / "samples").glob("*.png"))
    assert texts(last) == {"Software": "gancli", "step": "10", "seeds": "0-63"}
