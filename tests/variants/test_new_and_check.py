"""`gan new` writes a variant that trains at once; `gan check` holds variants to the contract."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from gancli import catalogue
from tests.conftest import ROOT, Gan
from tests.variants.outside import MYGAN, RUN


def test_a_new_variant_trains_at_once(gan: Gan) -> None:
    done = gan("new", "first.py")
    assert (done.code, done.out) == (0, "first.py\n")
    assert "gan train -v ./first.py" in done.err
    trained = gan("train", "-v", "./first.py", *RUN, "--width", 4, "--out", "run")
    assert trained.code == 0, trained.err
    again = gan("new", "first.py")
    assert (again.code, again.out) == (2, "")
    assert "FILE first.py: exists" in again.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("first",), "must end with .py"),
        (("dcgan.py",), "dcgan is a variant of gan's own"),
        (("no/folder/first.py",), "FILE no/folder/first.py: cannot be written"),
        (("first.py", "--like", "stylegan"), "--like stylegan: must be one of cgan"),
    ],
)
def test_what_can_be_no_new_variant_is_refused(gan: Gan, words: tuple[str, ...], message: str) -> None:
    done = gan("new", *words)
    assert done.code in (1, 2)
    assert message in done.err
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize("name", catalogue.names())
def test_a_variant_like_one_of_ours_is_that_one(gan: Gan, name: str) -> None:
    assert gan("new", "mine.py", "--like", name).code == 0
    mine, ours = catalogue.variant_info(catalogue.resolve("mine.py")), catalogue.variant_info(name)
    assert (mine.title, mine.paper, mine.presets) == (ours.title, ours.paper, ours.presets)
    compile(Path("mine.py").read_text(), "mine.py", "exec")
    assert catalogue.load("mine").__name__ == catalogue.load(name).__name__


def test_a_variant_that_keeps_to_the_contract_is_told_so(gan: Gan) -> None:
    Path("mygan.py").write_text(MYGAN)
    done = gan("check", "./mygan.py")
    assert done.code == 0, done.err + done.out
    assert "resumes exactly" in done.out
    assert "mygan: keeps to the contract" in done.err


def test_a_preset_is_built_at_its_own_size_and_needs_no_batch_size(gan: Gan) -> None:
    text = MYGAN.replace('"batch_size": 16, ', "").replace('{"hidden": 12}', '{"hidden": 12, "image_size": 64}')
    check = "        shape = ("
    text = text.replace(check, f"        assert config.hidden != 12 or images.size == 64\n{check}", 1)
    Path("mygan.py").write_text(text, "utf-8")
    done = gan("check", "./mygan.py")
    assert done.code == 0, done.err + done.out
    Path("images").mkdir()
    Image.effect_noise((8, 8), 50).save("images/0.png")
    planned = gan("train", "-v", "./mygan.py", "-d", "images", "--dry-run")
    assert planned.code == 0, planned.err
    assert re.search(r"--steps +468 ", planned.out), "an epoch of MNIST, in batches of 128"


def test_what_does_not_hold_is_told_with_its_line_and_exit_code_1(gan: Gan) -> None:
    count = (
        "self.count = getattr(self, 'count', 0) + 1\n        loss = loss * self.count\n        yield Update(\"D\", loss"
    )
    text = MYGAN.replace('yield Update("D", loss', count).replace(
        "        g_loss = nn", "        loss.half().nothing\n        g_loss = nn"
    )
    Path("mygan.py").write_text(text.replace("        loss.half().nothing\n", ""))
    done = gan("check", "./mygan.py", "--json")
    assert done.code == 1, done.err
    document = json.loads(done.out)
    failed = [each["promise"] for each in document["promises"] if not each["holds"]]
    assert failed == ["a run stopped after 3 steps resumes exactly", "a captured step is equal to a plain one"]
    Path("mygan.py").write_text(text)
    done = gan("check", "./mygan.py")
    assert done.code == 1
    assert f"mygan.py:{text.splitlines().index('        loss.half().nothing') + 1}: AttributeError" in done.out.replace(
        "\n", ""
    )


def test_a_size_that_it_does_not_take_and_a_name_that_is_none_are_refused(gan: Gan) -> None:
    assert "--image-size 9: must be 4 or 7 times" in gan("check", "dcgan", "--image-size", 9).err
    assert "no such variant" in gan("check", "nothing").err


@pytest.mark.slow
@pytest.mark.parametrize("name", [*catalogue.names(), *sorted((ROOT / "examples" / "variants").rglob("r3gan.py"))])
def test_our_own_variants_keep_to_the_contract(gan: Gan, name: object) -> None:
    done = gan("check", name)
    assert done.code == 0, done.out
