"""A variant from outside: a file, a package's entry point, or a class, with everything that gan's own variants have."""

import json
import os
import pickle
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import gancli
from gancli import catalogue
from gancli.catalogue import outside
from gancli.cli import ckpt
from gancli.demo import actions
from gancli.errors import CheckpointError, UsageError
from tests.conftest import Gan, gan_process, sha256
from tests.variants.outside import MYGAN, RUN


@pytest.fixture(autouse=True)
def _forgets() -> Iterator[None]:
    """The packages of a test are looked for, and forgotten after it."""
    outside._packages.cache_clear()
    yield
    outside._packages.cache_clear()


@pytest.fixture
def mygan(tmp_path: Path) -> Path:
    (tmp_path / "mygan.py").write_text(MYGAN)
    return tmp_path / "mygan.py"


@pytest.fixture
def run(gan: Gan, mygan: Path) -> Path:
    """The directory of a run of the file, in a process that has forgotten it."""
    done = gan("train", "-v", mygan, *RUN, "--out", "run")
    assert done.code == 0, done.err
    forget()
    return Path("run")


def forget() -> None:
    catalogue._given.clear()
    catalogue._imported.clear()


def test_the_page_of_a_demo_shows_its_grid_and_a_command_that_names_the_file(gan: Gan, mygan: Path, run: Path) -> None:
    ckpt.name_variants([str(mygan)])
    (model,) = actions.load_all([run])
    words = shlex.split(actions.command(model, actions.Settings(), 3, 4))
    assert words[-2:] == ["-v", "./mygan.py"]
    shown = actions.grid(model, actions.Settings(), 3, 4)
    forget()
    assert gan(*words[1:], "-o", "grid.png").code == 0
    with Image.open("grid.png") as sampled:
        assert np.array_equal(np.asarray(sampled), np.asarray(shown))


def test_a_card_names_the_file_and_a_space_which_has_no_code_of_its_own_is_refused(
    gan: Gan, run: Path, mygan: Path
) -> None:
    assert gan("export", run, "-v", mygan, "-o", "hub/").code == 0
    card = Path("hub/README.md").read_text("utf-8")
    assert "The code of `mygan` is not in this folder. It is the file `mygan.py`." in card
    assert 'gancli.load("model.safetensors", variant="mygan.py")' in card
    (line,) = [line for line in card.splitlines() if line.startswith("    gan sample ")]
    forget()
    shutil.copy(mygan, "hub")
    os.chdir("hub")
    done = gan(*shlex.split(line)[1:])
    assert done.code == 0, done.err
    refused = gan("export", "../run", "-v", "mygan.py", "-o", "space/", "--space")
    assert refused.code == 2
    assert "--space: a Space has no code of mygan, as that is not gan's own" in refused.err
    assert not Path("space").exists()


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Installs a distribution with entry points: a folder on `sys.path`, as pip leaves it."""

    def install(distribution: str, version: str, points: dict[str, str], **modules: str) -> None:
        site = tmp_path / f"site-{distribution}"
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        lines = "\n".join(f"{name} = {value}" for name, value in points.items())
        (info / "entry_points.txt").write_text(f"[gancli.variants]\n{lines}\n")
        for name, text in modules.items():
            (site / f"{name}.py").write_text(text)
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.syspath_prepend(str(site))
        outside._packages.cache_clear()

    return install


def test_a_file_trains_and_resumes_in_the_same_bytes(gan: Gan, mygan: Path) -> None:
    done = gan("train", "-v", "./mygan.py", *RUN, "--hidden", 9, "--out", "whole")
    assert done.code == 0, done.err
    assert done.out == "whole/ckpt.safetensors\n"
    assert "gan sample whole -v ./mygan.py" in done.err
    assert gan("train", "-v", mygan, *RUN, "--hidden", 9, "--steps", 3, "--out", "parts").code == 0
    resumed = gan("train", "-v", "mygan.py", "--resume", "parts", "--steps", 6)
    assert resumed.code == 0, resumed.err
    assert sha256(Path("parts/ckpt.safetensors")) == sha256(Path("whole/ckpt.safetensors"))


def test_a_file_has_help_presets_a_dry_run_a_page_completion_and_sweeps(
    gan: Gan, mygan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = gan("train", "-v", mygan, "--help").out
    assert "--hidden N" in shown
    assert "--inner-width" not in shown
    assert "My GAN: two linear maps." in shown
    dry = gan("train", "-v", mygan, "--preset", "wide", "--dry-run")
    assert dry.code == 0, dry.err
    assert "hidden" in dry.out
    assert "12" in dry.out
    page = gan("variants", "./mygan.py")
    assert "From: mygan.py" in page.out
    assert gan("train", "-v", mygan, "--preset", "narrow", "--dry-run").err.startswith(
        "gan: --preset narrow: mygan has"
    )
    swept = gan("train", "-v", mygan, *RUN, "--hidden", "4,5", "--out", "sweep")
    assert swept.code == 0, swept.err
    assert Path("sweep/000-hidden=4/ckpt.safetensors").exists()
    for words, found in {
        ("train", "-v", "mygan.py", "--hid"): "--hidden",
        ("train", "-v", "mygan.py", "--preset", "w"): "wide",
        ("train", "-v", "my"): "mygan.py",
        ("variants", "my"): "mygan.py",
    }.items():
        with monkeypatch.context() as pressed:
            pressed.setenv("_GAN_COMPLETE", "complete_bash")
            pressed.setenv("COMP_WORDS", " ".join(("gan", *words)))
            pressed.setenv("COMP_CWORD", str(len(words)))
            forget()
            assert gan().out.split() == [found]


def test_a_sweep_over_files_and_a_path_with_a_comma(gan: Gan, mygan: Path) -> None:
    Path("other.py").write_text(MYGAN.replace("My GAN", "Another"))
    swept = gan("train", "-v", "mygan.py,vanilla,other.py", *RUN, "--out", "sweep", "--batch-size", 16)
    assert swept.code == 2  # the variant is the same for all runs of a sweep
    assert "--variant" in swept.err
    folder = Path("a,b")
    folder.mkdir()
    shutil.copy(mygan, folder)
    done = gan("train", "-v", "a,b/mygan.py", *RUN, "--out", "run")
    assert done.code != 0 or Path("run").exists()


def test_commands_that_need_no_code_import_none(gan: Gan, run: Path, mygan: Path) -> None:
    mygan.write_text("raise SystemExit('imported')")
    described = gan("inspect", run)
    assert described.code == 0, described.err
    assert "file mygan.py" in described.out
    assert "hidden=8" in described.out
    document = json.loads(gan("inspect", run, "--json").out)
    assert document["origin"]["file"] == "mygan.py"
    assert gan("runs", ".").code == 0
    assert gan("report", run, "-o", "page.html").code == 0
    assert gan("cache").code == 0
    (run / "ckpt.safetensors").unlink()
    shutil.rmtree(run / "state")
    assert "mygan" in gan("inspect", run).out


@pytest.mark.parametrize(
    "command",
    [
        ("sample", "run", "-n", 2),
        ("evaluate", "run", "-n", 20, "--metrics", "swd"),
        ("export", "run", "-o", "run.pt2"),
        ("inspect", "run", "--verify"),
        ("train", "--resume", "run", "--steps", 7),
        ("train", "--config", "run/config.toml", "--steps", 2, "--out", "again"),
        ("train", "--init-from", "run", *RUN, "--out", "warm"),
    ],
    ids=lambda command: " ".join(map(str, command[:2])),
)
def test_a_files_code_must_be_named_again_by_a_flag_or_the_environment(
    gan: Gan, run: Path, command: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run.exists()
    refused = gan(*command)
    assert refused.code in (1, 2)
    assert refused.err.count("\n") == 1
    assert "is of the variant mygan, whose code is the file mygan.py; name the file" in refused.err
    with monkeypatch.context() as patched:
        patched.setenv("GAN_VARIANTS", f"nothing.py{os.pathsep}mygan.py")
        done = gan(*command)
        assert done.code == 0, done.err
    forget()
    more = ("--out", "more") if "again" in command or "warm" in command else ()
    done = gan(*command, *more, "-v", "mygan.py", *(("--steps", "8") if "--resume" in command else ()))
    assert done.code == 0, done.err
    assert "changed" not in done.err


def test_code_that_changed_is_noted_and_is_what_runs(gan: Gan, run: Path, mygan: Path) -> None:
    mygan.write_text(MYGAN + "\n# another\n")
    done = gan("sample", run, "-v", mygan, "-n", 2)
    assert done.code == 0
    assert "note: mygan.py has changed since run/ckpt.safetensors was written (by mygan.py, " in done.err
    resumed = gan("train", "-v", mygan, "--resume", run, "--steps", 7)
    assert resumed.code == 0
    assert "has changed since" in resumed.err
    mygan.write_text(MYGAN.replace("hidden", "inner"))  # in the same process: imported anew
    refused = gan("sample", run, "-v", mygan)
    assert refused.code == 1
    assert "hidden: no option of mygan in mygan.py" in refused.err


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("./nothing.py", "--variant nothing.py: cannot be read"),
        ("folder.py", "is a folder"),
        ("dcgan.py", "dcgan is a variant of gan's own"),
        ("seed.py", "seed is the name of an option"),
        ("my gan.py", "must be of ASCII letters"),
        ("mygan", "did you mean ./mygan.py?"),
    ],
)
def test_files_that_can_be_no_variant_are_refused(gan: Gan, mygan: Path, word: str, message: str) -> None:
    for name in ("dcgan.py", "seed.py", "my gan.py"):
        shutil.copy(mygan, name)
    Path("folder.py").mkdir()
    refused = gan("train", "-v", word, *RUN)
    assert (refused.code, refused.out) == (2, "")
    assert message in refused.err
    assert refused.err.count("\n") == 1


def test_a_hostile_checkpoint_imports_nothing(gan: Gan, run: Path, mygan: Path) -> None:
    mygan.write_text("open('imported', 'w')")
    config = run / "config.toml"
    config.write_text(config.read_text().replace('variant = "mygan"', 'variant = "../mygan"'))
    for command in (("runs", "."), ("inspect", run), ("sample", run), ("train", "--resume", run)):
        gan(*command)
    for name in ("mygan", "os", "gancli.cli.app", "antigravity", "./mygan.py"):
        header = (run / "ckpt.safetensors").read_bytes()
        evil = header.replace(b'\\"variant\\":\\"mygan\\"', b'\\"variant\\":\\"%s\\"' % name.encode())
        size = int.from_bytes(header[:8], "little") + len(evil) - len(header)
        Path("evil.safetensors").write_bytes(size.to_bytes(8, "little") + evil[8:])
        assert gan("sample", "evil.safetensors").code != 0
    assert not Path("imported").exists()


def test_an_installed_variant_is_listed_trains_and_is_found_again(gan: Gan, installed: Callable[..., None]) -> None:
    installed("gan-mine", "1.2", {"mine": "gan_mine"}, gan_mine=MYGAN)
    assert "gan-mine 1.2" in gan("variants").out
    done = gan("train", "-v", "mine", *RUN, "--hidden", 5, "--out", "run")
    assert done.code == 0, done.err
    assert "next: gan sample run, or" in done.err
    forget()
    assert "package gan-mine" in gan("inspect", "run").out
    assert not catalogue._imported
    assert gan("sample", "run", "-n", 2).code == 0
    assert gan("train", "--resume", "run", "--steps", 7).code == 0
    forget()
    assert gan("train", "--config", "run/config.toml", "--hidden", 6, "--out", "again").code == 0
    sys.path.remove(next(path for path in sys.path if path.endswith("site-gan-mine")))
    outside._packages.cache_clear()
    forget()
    gone = gan("sample", "run")
    assert "of the package gan-mine 1.2, which is not installed; if you trust it: pip install gan-mine==1.2" in gone.err


def test_names_that_two_give_are_refused_with_both(gan: Gan, installed: Callable[..., None], mygan: Path) -> None:
    installed("gan-a", "1", {"mine": "gan_a", "vanilla": "gan_a"}, gan_a=MYGAN)
    installed("gan-b", "2", {"mine": "gan_b", "broken": "gan_nothing"}, gan_b=MYGAN)
    listed = gan("variants")
    assert listed.code == 0
    assert "mine: is given by" in listed.err
    assert "vanilla of gan-a 1: is a variant of gan's own" in listed.err
    assert "gan_nothing" in listed.err
    refused = gan("train", "-v", "mine", *RUN)
    assert refused.code == 2
    assert "gan-a 1" in refused.err
    assert "gan-b 2" in refused.err
    shutil.copy(mygan, "broken.py")
    refused = gan("train", "-v", "./broken.py", *RUN)
    assert refused.code == 2
    assert "broken.py and by gan-b 2" in refused.err
    assert gan("train", "-v", "vanilla", *RUN, "--dry-run").code == 0


def test_a_class_trains_from_python_and_its_model_is_used(
    gan: Gan, mygan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(mygan.parent))
    import mygan as module  # type: ignore[import-not-found]

    options: dict[str, Any] = {"image_size": 8, "device": "cpu", "threads": 1, "log_every": 2}
    trained = gancli.train(module.MyGAN, steps=2, out="run", **{"hidden": 5, **options})
    assert trained.variant == "mygan"
    assert len(trained.model.sample(2)) == 2
    assert pickle.loads(pickle.dumps(trained.model)).facts.origin["file"] == "mygan.py"
    with pytest.raises(UsageError, match="mygan has no option width"):
        gancli.train(module.MyGAN, steps=2, width=5, **options)
    forget()
    with pytest.raises(CheckpointError, match="name the file"):
        gancli.load("run")
    assert gancli.load("run", variant=mygan).facts.step == 2
    assert gan("sample", "run", "-v", "mygan.py", "-n", 1).code == 0
    monkeypatch.delitem(sys.modules, "mygan")


def test_a_class_may_have_its_config_inside_and_be_of_no_file() -> None:
    text = MYGAN.replace("class Config(VariantConfig)", "class Options(VariantConfig)").replace(": Config", ": Options")
    text = text.replace("    convolutional = False\n", "    convolutional = False\n    Config = Options\n")
    module = type(sys)("notebook")
    sys.modules["notebook"] = module
    exec(text, module.__dict__)
    options: dict[str, Any] = {"image_size": 8, "device": "cpu", "threads": 1, "log_every": 2, "progress": "none"}
    run = gancli.train(module.MyGAN, steps=2, out="run", **options)
    assert run.variant == "my_gan"
    forget()
    with pytest.raises(CheckpointError, match="a class that was given from Python"):
        gancli.load("run")
    assert gancli.load("run", variant=module.MyGAN).facts.variant == "my_gan"
    del sys.modules["notebook"]


def test_a_file_may_import_a_module_beside_it_and_print(mygan: Path) -> None:
    Path("layers.py").write_text("WIDTH = 6\n")
    mygan.write_text(
        MYGAN.replace("import torch\n", "import torch\nfrom layers import WIDTH\n", 1) + "\nprint('hello')\n"
    )
    done = gan_process("train", "-v", "mygan.py", *RUN, "--out", "run")
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"run/ckpt.safetensors\n"
    assert b"hello" in done.stderr
    assert not Path("__pycache__", "mygan.cpython-311.pyc").exists()


@pytest.mark.slow
def test_two_processes_train_a_file(gan: Gan, mygan: Path) -> None:
    from tests.machine.test_ranks import check_same
    from tests.machine.together import together

    args = ("train", "-v", mygan, *RUN, "--steps", 16, "--log-every", 1, "--precision", "fp32", "--save-every", 12)
    assert gan(*args, "--out", "one").code == 0
    code, out, err = together(*args, "--out", "two")
    assert code == 0, err
    assert out == "two/ckpt.safetensors\n"
    check_same("two", "one", range(1, 17))


@pytest.mark.slow
def test_a_file_is_compiled(gan: Gan, mygan: Path) -> None:
    done = gan("train", "-v", mygan, *RUN, "--steps", 20, "--compile", "--out", "run")
    assert done.code == 0, done.err
