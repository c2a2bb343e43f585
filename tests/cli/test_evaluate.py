"""`gan evaluate` and `gan train --eval-every`, as users meet them."""

import json
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from gancli.metrics import classifier
from tests.cli.test_errors import assert_one_line
from tests.conftest import SMALL, Gan


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "NUM_STEPS", 20)


def figures(document: dict[str, Any], which: int = 0) -> dict[str, Any]:
    return {figure["name"]: figure for figure in document["checkpoints"][which]["figures"]}


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder of four smooth images."""
    folder, rng = tmp_path / "photographs", torch.Generator().manual_seed(0)
    folder.mkdir()
    for index in range(4):
        rough = torch.rand(1, 3, 6, 7, generator=rng)
        smooth = torch.nn.functional.interpolate(rough, (48, 56), mode="bicubic").clamp(0, 1)[0]
        Image.fromarray((smooth * 255).byte().permute(1, 2, 0).contiguous().numpy()).save(folder / f"{index}.png")
    return folder


def test_evaluate_prints_a_table_with_real_images_beside(
    gan: Gan, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAN_DATA", str(tmp_path / "root"))  # no other test has left its classifier there
    outcome = gan("evaluate", trained, "-n", 300)
    assert outcome.code == 0, outcome.err
    for word in ("frechet distance", "coverage", "parzen log-likelihood", "real images", "rarest class"):
        assert word in outcome.out
    assert "gan-test" not in outcome.out, "vanilla has no labels to get right"
    assert "training the evaluation classifier" in outcome.err


def test_the_runs_metrics_get_the_figures_and_inspect_shows_them(gan: Gan, trained: Path) -> None:
    gan("evaluate", trained, "-n", 200, "--metrics", "modes,diversity")
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert set(rows[-1]["figures"]) == {"classes found", "rarest class", "commonest class", "diversity"}
    assert rows[-1]["step"] == 10
    shown = gan("inspect", trained)
    assert shown.code == 0
    assert "classes found" in " ".join(shown.out.split())
    assert gan("train", "--resume", trained, "--steps", 12).code == 0, "a resume takes the row as one of its own"


def test_each_measurement_stays_with_what_it_was_made_with(gan: Gan, trained: Path) -> None:
    """Those of other numbers of images do not replace each other."""
    few = ("--metrics", "frechet,kernel")
    for count in (200, 100):
        assert gan("evaluate", trained, "-n", count, "--seed", 7, *few).code == 0
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    about = {"step": 10, "evaluated_on": "digits", "split": "test", "n": 100, "seed": 7, "beside": "real images"}
    assert about.items() <= rows[-1].items()
    assert rows[-1]["time"].endswith("Z")
    assert rows[-1]["checkpoint"] == "ckpt.safetensors"
    assert rows[-1]["sha256"] == json.loads(gan("inspect", trained, "--json").out)["sha256"]
    assert 0 < rows[-1]["real"]["frechet distance"] < rows[-1]["figures"]["frechet distance"]
    assert "errors" not in rows[-1], "all 100 images are one subset, which tells no standard error"
    with (trained / "metrics.jsonl").open("a") as metrics:
        metrics.write('{"step": 4, "evaluated_on": "old", "figures": {"coverage": 0.25}}\n')
    shown = gan("inspect", trained)
    assert shown.code == 0
    text = " ".join(shown.out.split())
    for word in ("200 images from seed 7, against digits (test)", "100 images from seed 7", "(real images "):
        assert word in text
    assert "step 4, number of images not recorded, against old: coverage 0.25" in text
    assert text.index("against old") < text.index("100 images") < text.index("200 images"), "the newest first"
    document = json.loads(gan("inspect", trained, "--json").out)
    assert [each.get("n") for each in document["evaluations"]] == [None, 100, 200]
    assert document["evaluated"] == rows[-2]["figures"], "the newest step's, of the most images"


def test_neighbours_are_drawn_as_rows(gan: Gan, trained: Path, tmp_path: Path) -> None:
    outcome = gan("evaluate", trained, "-n", 100, "--metrics", "modes", "--neighbours", tmp_path / "near.png")
    assert outcome.code == 0, outcome.err
    with Image.open(tmp_path / "near.png") as image:
        assert image.size == (6 * 10 - 2, 10 * 10 - 2)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("-n", 1), "-n 1: must be at least 10"),
        (("--metrics", "freched"), "did you mean frechet?"),
        (("--neighbours", "near.gif"), "must be a .png"),
        (("--dataset", "nowhere"), "nowhere"),
        (("--dataset", "shapes"), "3 channels"),
        (("--gan-train",), "not conditional"),
        (("--low-res", "."), "is for srgan"),
    ],
)
def test_errors_are_one_line_that_names_the_option(
    gan: Gan, trained: Path, args: tuple[object, ...], message: str
) -> None:
    outcome = gan("evaluate", trained, *(("-n", 50) if "-n" not in args else ()), *args)
    assert outcome.code == 2
    assert message in outcome.err.splitlines()[-1]
    assert "Traceback" not in outcome.err
    assert outcome.out == ""


def test_a_super_resolution_model_is_measured_beside_bicubic(gan: Gan, enlarger: Path, photographs: Path) -> None:
    outcome = gan("evaluate", enlarger, "--dataset", photographs, "--json")
    assert outcome.code == 0, outcome.err
    found = figures(json.loads(outcome.out))
    assert set(found) == {"psnr on Y", "ssim on Y"}
    assert found["psnr on Y"]["real"]["value"] > 20, "bicubic enlarges smooth images well"
    assert found["psnr on Y"]["count"] == 4


def measured(gan: Gan, enlarger: Path, *args: object) -> tuple[float, float, int]:
    outcome = gan("evaluate", enlarger, "--json", *args)
    assert outcome.code == 0, outcome.err
    psnr = json.loads(outcome.out)["checkpoints"][0]["figures"][0]
    return psnr["model"]["value"], psnr["real"]["value"], psnr["count"]


def test_originals_may_be_in_archives_with_or_without_low_resolution_images(gan: Gan, enlarger: Path) -> None:
    for kind, side in (("HR", 48), ("LRx4", 12), ("LRx2", 24)):
        Path("set", kind).mkdir(parents=True)
        for index in range(2):
            rough = Image.effect_noise((6, 6), 20 + 40 * index)
            rough.resize((48, 48), Image.Resampling.BICUBIC).resize((side, side)).save(f"set/{kind}/{index}.png")
    for name, prefix, kinds in (
        ("top.zip", "Set5/", "HR LRx4"),
        ("flat.zip", "", "HR LRx4"),
        ("other.zip", "s/", "HR LRx2"),
    ):
        with zipfile.ZipFile(name, "w") as archive:
            for path in sorted(path for kind in kinds.split() for path in Path("set", kind).iterdir()):
                archive.write(path, f"{prefix}{path.relative_to('set')}")
    with tarfile.open("true.tar", "w") as tar:
        tar.add("set/HR", ".")
    pairs, alone = measured(gan, enlarger, "-d", "set"), measured(gan, enlarger, "-d", "set/HR")
    assert pairs[2] == alone[2] == 2
    assert pairs != alone
    assert measured(gan, enlarger, "-d", "top.zip") == measured(gan, enlarger, "-d", "flat.zip") == pairs
    assert measured(gan, enlarger, "-d", "true.tar") == measured(gan, enlarger, "-d", "other.zip") == alone
    assert measured(gan, enlarger, "-d", "true.tar", "--low-res", "set/LRx4") == pairs
    shutil.rmtree("set/LRx4")
    for place in ("set", "other.zip"):
        err = gan("evaluate", enlarger, "-d", place).err
        assert (
            f"note: --dataset {place}: no LRx4 next to HR: the low-resolution images are made from those in HR" in err
        )


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("-d", "leaves"), 2, "--dataset leaves: is the name of a dataset"),
        (("-d", "photograps"), 1, "--dataset photograps: does not exist (did you mean photographs?)"),
        (("-d", "empty"), 1, "--dataset empty: holds no images"),
        (("-d", "photographs", "--low-res", "none"), 1, "--low-res none: does not exist"),
        (
            ("-d", "photographs", "--low-res", "empty"),
            1,
            "--low-res empty: has no image named 0, unlike photographs/0.png",
        ),
    ],
)
def test_what_is_no_place_of_originals_is_one_line(
    gan: Gan, enlarger: Path, photographs: Path, args: tuple[object, ...], code: int, message: str
) -> None:
    photographs.with_name("empty").mkdir()
    assert_one_line(gan("evaluate", enlarger, *args), code, message)


def test_bicubic_on_set5_reads_the_published_figure(gan: Gan, enlarger: Path, mnist_root: Path) -> None:
    """recipes.md: bicubic ×4 on Set5 must read 28.43 dB with these low-resolution files."""
    outcome = gan("evaluate", enlarger, "--dataset", mnist_root / "sr" / "Set5", "--json")
    assert outcome.code == 0, outcome.err
    assert figures(json.loads(outcome.out))["psnr on Y"]["real"]["value"] == pytest.approx(28.43, abs=0.02)


def test_eval_every_keeps_the_best_and_changes_nothing_else(gan: Gan, tmp_path: Path) -> None:
    plain = gan("train", "--out", tmp_path / "plain", "--steps", 12, *SMALL)
    outcome = gan("train", "--out", tmp_path / "run", "--steps", 12, "--eval-every", 4, "--progress", "plain", *SMALL)
    assert outcome.code == plain.code == 0, outcome.err
    assert outcome.err.count("coverage") == 3
    assert "best.safetensors" in outcome.err
    assert sha256_of_weights(gan, tmp_path / "run") == sha256_of_weights(gan, tmp_path / "plain")
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    measured = {row["step"]: row for row in rows if "figures" in row}
    assert list(measured) == [4, 8, 12]
    about = {"evaluated_on": "digits", "split": "half of train", "n": 2000, "seed": 0, "beside": "real images"}
    assert all(
        about.items() <= row.items() and {"frechet", "coverage"} <= set(row["real"]) for row in measured.values()
    )
    shown = " ".join(gan("inspect", tmp_path / "run").out.split())
    assert "step 12, 2,000 images from seed 0, against digits (half of train)" in shown
    assert shown.count("the best so far") == 1
    best = min(measured, key=lambda step: measured[step]["figures"]["frechet"])
    about = json.loads(gan("inspect", tmp_path / "run" / "best.safetensors", "--json").out)
    assert about["step"] == best == max(step for step, row in measured.items() if row["best"])
    assert gan("sample", tmp_path / "run" / "best.safetensors", "-n", 4, "-o", tmp_path / "best.png").code == 0


def sha256_of_weights(gan: Gan, run: Path) -> object:
    return json.loads(gan("inspect", run, "--json").out)["sha256"]


def test_a_resumed_run_keeps_its_best(gan: Gan, tmp_path: Path) -> None:
    options = ("--eval-every", 4, "--save-every", 4, "--lr-decay", 0, *SMALL)
    assert gan("train", "--out", tmp_path / "whole", "--steps", 16, *options).code == 0
    assert gan("train", "--out", tmp_path / "parts", "--steps", 8, *options).code == 0
    assert gan("train", "--resume", tmp_path / "parts", "--steps", 16).code == 0
    whole, parts = (
        json.loads(gan("inspect", tmp_path / r / "best.safetensors", "--json").out) for r in ("whole", "parts")
    )
    assert (whole["step"], whole["sha256"]) == (parts["step"], parts["sha256"])


def test_evaluating_needs_no_extra(gan: Gan, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torchmetrics", "torch_fidelity", "scipy"):
        monkeypatch.setitem(sys.modules, name, None)
    outcome = gan("evaluate", trained, "-n", 50)
    assert outcome.code == 0, outcome.err
    assert "frechet" in outcome.out


def test_inception_weights_are_opened_only_if_they_are_the_known_file(gan: Gan, trained: Path, tmp_path: Path) -> None:
    other = tmp_path / "weights.pth"
    other.write_bytes(b"a pickle that would do anything")
    outcome = gan("evaluate", trained, "-n", 50, "--inception", other)
    assert outcome.code == 2
    assert "not torch-fidelity's" in outcome.err
    assert gan("evaluate", trained, "-n", 50, "--inception", tmp_path / "none.pth").code == 1


@pytest.mark.slow
def test_inception_fid_of_made_up_weights_is_finite_and_less_for_likelier_images(
    gan: Gan, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real weights cannot be had here: the way through torch-fidelity is tested with random ones."""
    from gancli.metrics import distances

    network = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3", reason="the extra metrics")
    saved: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        extractor = network.FeatureExtractorInceptionV3
        patch.setattr(extractor, "load_state_dict", lambda self, _: saved.update(self.state_dict()))
        patch.setattr(network, "load_state_dict_from_url", lambda *_, **__: {})
        torch.manual_seed(0)
        extractor("inception-v3-compat", ["2048"])
    torch.save(saved, tmp_path / "weights.pth")
    monkeypatch.setattr(distances, "SHA256_BEGINS", "")
    outcome = gan(
        "evaluate", trained, "-n", 10, "--metrics", "modes", "--json", "--inception", tmp_path / "weights.pth"
    )
    assert outcome.code == 0, outcome.err
    fid = figures(json.loads(outcome.out))["inception fid"]
    assert 0 <= fid["real"]["value"] < fid["model"]["value"]


def test_eval_every_measures_a_super_resolution_run_by_psnr(gan: Gan, photographs: Path, tmp_path: Path) -> None:
    own = ("--width", 8, "--blocks", 1, "--image-size", 32, "--batch-size", 2, "--threads", 1, "--device", "cpu")
    out = tmp_path / "sr"
    outcome = gan("train", "-v", "srgan", "-d", photographs, "-o", out, "--steps", 4, "--eval-every", 2, *own)
    assert outcome.code == 0, outcome.err
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    measured = [row for row in rows if "figures" in row]
    assert [row["step"] for row in measured] == [2, 4]
    assert all(10 < row["figures"]["psnr"] < 60 for row in measured)
    assert all((row["beside"], row["n"]) == ("bicubic", 4) and row["real"]["psnr"] > 20 for row in measured)
    assert all(row["errors"]["psnr"] > 0 for row in measured)
    best = max(measured, key=lambda row: row["figures"]["psnr"])
    assert json.loads(gan("inspect", out / "best.safetensors", "--json").out)["step"] == best["step"]


def test_images_that_are_the_same_have_an_infinite_psnr_and_a_row(gan: Gan, enlarger: Path, tmp_path: Path) -> None:
    """Of one colour: bicubic interpolation leaves no error to divide by."""
    (tmp_path / "plain").mkdir()
    for index in range(2):
        Image.new("RGB", (32, 32), (9, 9, index)).save(tmp_path / "plain" / f"{index}.png")
    outcome = gan("evaluate", enlarger, "-d", tmp_path / "plain")
    assert (outcome.code, outcome.err.count("unexpected")) == (0, 0), outcome.err
    (row,) = [line for line in outcome.out.splitlines() if line.startswith("psnr on Y")]
    assert "inf" in row.split()
