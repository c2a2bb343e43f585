"""Models in Python: the pictures, errors and files of the command line."""

import copy
import multiprocessing
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import gancli
from gancli import images
from gancli.api.common import in_python
from tests.conftest import Finished, Gan
from tests.engine.test_resume import train_args

python: Any = gancli  # for calls that a type checker would refuse
DRAWING = ("cgan", "lapgan")


@pytest.fixture(scope="session")
def runs(finished: Finished) -> dict[str, Path]:
    """A tiny finished run of each variant that draws. Tests only read them."""
    return {name: finished(*train_args(name), "--steps", 4) for name in DRAWING}


@pytest.mark.parametrize("name", DRAWING)
def test_a_model_draws_the_pictures_of_the_command_line(gan: Gan, runs: dict[str, Path], name: str) -> None:
    model = gancli.load(runs[name], device="cpu")
    samples = model.sample(7, seed=3)
    for output in ("grid.png", "folder/", "samples.npz"):
        assert gan("sample", runs[name], "-n", 7, "--seed", 3, "--device", "cpu", "-o", f"typed-{output}").code == 0
        samples.save(f"called-{output}")
    for typed in (Path("typed-grid.png"), *sorted(Path("typed-folder").iterdir())):
        called = Path(str(typed).replace("typed-", "called-"))
        assert typed.read_bytes() == called.read_bytes()
    with np.load("typed-samples.npz") as typed_array:
        assert np.array_equal(typed_array["images"], samples.pixels.permute(0, 2, 3, 1).numpy())
        assert np.array_equal(typed_array["labels"], samples.labels.numpy())
        assert np.array_equal(typed_array["seeds"], samples.seeds.numpy())
    with Image.open("typed-grid.png") as typed_grid:
        assert typed_grid.tobytes() == samples.grid().tobytes()
    assert len(samples.images()) == len(samples) == 7


def test_options_of_drawing_have_their_effect(gan: Gan, runs: dict[str, Path]) -> None:
    model = gancli.load(runs["lapgan"])
    args = ("-n", 4, "--levels", "--truncation", 0.5, "--columns", 1)
    assert gan("sample", runs["lapgan"], *args, "-o", "typed.png").code == 0
    model.sample(4, levels=True, truncation=0.5, columns=1).save("called.png")
    assert Path("typed.png").read_bytes() == Path("called.png").read_bytes()
    sevens = gancli.load(runs["cgan"]).sample(3, label=7)
    assert sevens.labels.tolist() == [7, 7, 7]
    assert gancli.load(runs["cgan"]).sample(2, label=["1", 3]).labels.tolist() == [1, 3]
    one = model.sample(20, batch_size=1)
    assert torch.equal(one.pixels, model.sample(20).pixels)


def test_wrong_values_have_the_errors_of_the_command_line(gan: Gan, runs: dict[str, Path], enlarger: Path) -> None:
    cgan, srgan = gancli.load(runs["cgan"]), gancli.load(enlarger)
    cases: list[tuple[Callable[[], object], tuple[object, ...]]] = [
        (lambda: cgan.sample(0), ("sample", runs["cgan"], "-n", 0)),
        (lambda: cgan.sample(seed=-1), ("sample", runs["cgan"], "--seed", -1)),
        (lambda: cgan.sample(label="eleven"), ("sample", runs["cgan"], "--label", "eleven")),
        (lambda: cgan.sample(1).save("x.gif"), ("sample", runs["cgan"], "-n", 1, "-o", "x.gif")),
        (lambda: srgan.enlarge(Image.new("L", (4, 4)), tile=0), ("sample", enlarger, "-i", "x.png", "--tile", 0)),
        (lambda: gancli.load("nothing"), ("inspect", "nothing")),
        (lambda: gancli.load(runs["cgan"], device="cuda:99"), ("sample", runs["cgan"], "--device", "cuda:99")),
        (lambda: gancli.evaluate(cgan, n=1), ("evaluate", runs["cgan"], "-n", 1)),
        (lambda: gancli.train("vanilla", steps=0), ("train", "--steps", 0)),
        (lambda: gancli.train(dataset="digitz"), ("train", "-d", "digitz")),
        (lambda: gancli.train(resume="nowhere"), ("train", "--resume", "nowhere")),
        (lambda: gancli.train(max_time="soon"), ("train", "--max-time", "soon")),
    ]  # fmt: skip
    for call, typed in cases:
        outcome = gan(*typed)
        with pytest.raises(gancli.GancliError) as caught:
            call()
        assert in_python(outcome.err.splitlines()[-1].removeprefix("gan: ")) == str(caught.value), typed
        assert not re.search(r"(^|\s)--?[a-z]", str(caught.value)), "an error in Python names arguments"
        assert outcome.code == caught.value.exit_code
    with pytest.raises(gancli.GancliError, match=r"^cgan has no option step \(did you mean steps\?\)$"):
        gancli.train("cgan", step=3)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: model.sample(0), "n=0: must be at least 1 and at most 1000000"),
        (lambda model: model.sample(seed=range(3)), r"seed=range\(0, 3\): must be a whole number"),
        (lambda _: python.load("srgan-x4").enlarge("small.png"), "image: must be a Pillow image, .*, not str"),
        (lambda _: python.load(None), "path: must be a path, a name or a run, not NoneType"),
        (lambda _: python.load("digits", device=0), r"device=0: must be auto, cpu, .* \(did you mean cuda:0\?\)"),
        (lambda model: python.evaluate(model.sample(20)), "models: must be models, runs or paths, not Samples"),
        (lambda _: python.train(dataset=np.zeros((20, 8, 8))), "dataset=<ndarray>: must be a name .* numpy.savez.*"),
        (lambda _: python.train(resume=True), 'resume: must be "auto", a run or a path, not bool'),
        (lambda _: python.train(max_time="soon"), "max_time=soon: must be a time .*, or a number of seconds"),
        (lambda _: python.train(epochs=1, steps=1), "epochs and steps: both set the length of the run; give one"),
    ],
)  # fmt: skip
def test_odd_arguments_have_one_line_that_names_them(call: Callable[[Any], object], message: str) -> None:
    with pytest.raises(gancli.GancliError, match=f"^{message}$"):
        call(python.load("digits"))


def test_numbers_labels_and_pictures_may_be_of_numpy_and_torch(runs: dict[str, Path]) -> None:
    model = gancli.load(runs["cgan"], device="cpu")
    wanted = model.sample(3, seed=5, label=[1, 2], truncation=0.5, columns=2)
    for three, five, labels, half in (
        (np.int64(3), np.uint8(5), np.array([1, 2]), np.float32(0.5)),
        (torch.tensor(3), torch.tensor(5), torch.tensor([1, 2]), torch.tensor(0.5)),
        (3.0, np.array(5), range(1, 3), Fraction(1, 2)),
    ):
        samples = model.sample(three, seed=five, label=labels, truncation=half, columns=np.int8(2))  # type: ignore[arg-type]
        assert torch.equal(samples.pixels, wanted.pixels)
        assert samples.grid().size == wanted.grid().size
    for seven in (7, np.int64(7), torch.tensor(7), "7", np.array(["7"])):
        assert model.sample(2, label=seven).labels.tolist() == [7, 7]
    upscaler, picture = gancli.load("srgan-x4", device="cpu"), Image.effect_noise((9, 7), 50).convert("RGB")
    large = upscaler.enlarge(picture).tobytes()
    assert upscaler.enlarge(np.asarray(picture)).tobytes() == large
    assert upscaler.enlarge(images.from_pil(picture)).tobytes() == large


@pytest.mark.parametrize("name", DRAWING)
def test_a_model_and_what_it_gives_pickle_in_about_its_size(runs: dict[str, Path], name: str) -> None:
    model = gancli.load(runs[name], device="cpu")
    samples = model.sample(3, seed=3, levels=name == "lapgan")
    pickled = pickle.dumps(model)
    assert len(pickled) < 1.2 * model.path.stat().st_size + 20_000
    for again in (pickle.loads(pickled), copy.deepcopy(model)):
        assert torch.equal(again.sample(3, seed=3, levels=name == "lapgan").pixels, samples.pixels)
        assert again.facts == model.facts
    assert torch.equal(pickle.loads(pickle.dumps(samples)).pixels, samples.pixels)


def pixels_of(model: gancli.Model) -> torch.Tensor:
    return model.sample(5, seed=3).pixels


@pytest.mark.skipif(sys.platform != "linux", reason="forks as Linux does")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # Python 3.12's, of threads
def test_processes_forked_from_this_one_draw_the_same() -> None:
    model = gancli.load("digits", device="cpu")
    torch.ones(500, 500).mm(torch.ones(500, 500))  # torch has threads now, which the others lack
    with multiprocessing.get_context("fork").Pool(1) as pool:
        (found,) = pool.map_async(pixels_of, [model]).get(60)
    assert torch.equal(found, pixels_of(model))


def test_the_package_imports_no_torch_and_knows_its_names() -> None:
    code = (
        "import sys, gancli; assert 'torch' not in sys.modules and 'numpy' not in sys.modules; "
        "assert {'load', 'train', 'training', 'evaluate'} <= set(dir(gancli)); assert not hasattr(gancli, 'nothing'); "
        "gancli.load; assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
