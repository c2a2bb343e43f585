"""Map-style datasets of Python in place of a name or a path."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import IterableDataset, Subset, TensorDataset

import gancli
from gancli.config import toml
from gancli.data.dataset import Dataset
from gancli.data.dataset_object import DatasetObject
from gancli.data.opening import open_dataset
from gancli.data.options import DatasetOptions
from gancli.errors import DataError, GancliError, UsageError
from gancli.events import ignore
from gancli.images import from_pil
from gancli.store.checkpoint import load_model
from tests.conftest import Gan, warned

SMALL: dict[str, Any] = {"steps": 6, "batch_size": 4, "device": "cpu", "threads": 1}


class Pictures(TorchDataset[Any]):
    """Images in memory, with classes if `labels` are given; `read` is the indices that were asked for."""

    def __init__(self, images: list[Any], labels: list[Any] | None = None, classes: list[str] | None = None) -> None:
        self.images, self.labels, self.read = images, labels, list[int]()
        if classes is not None:
            self.classes = classes

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Any:
        self.read.append(index)
        if isinstance(self.images[index], Exception):
            raise self.images[index]
        return self.images[index] if self.labels is None else (self.images[index], self.labels[index])


def noise(width: int = 16, height: int = 16, mode: str = "RGB", seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


def opened(value: object, root: Path, image_size: int | None = None, bad: Any = "fail", fit: Any = "crop") -> Dataset:
    return open_dataset(DatasetObject(value), DatasetOptions(root, image_size, on_bad_image=bad, fit=fit), ignore)


def folder_of(path: Path, images: list[Image.Image], labels: list[int], classes: list[str]) -> Path:
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        (path / classes[label]).mkdir(parents=True, exist_ok=True)
        image.save(path / classes[label] / f"{index:03}.png")
    return path


@pytest.fixture
def pets(tmp_path: Path) -> tuple[Pictures, Path]:
    """Images of mixed sizes in two classes, as an object and as a folder."""
    images = [noise(20 + index, 18, seed=index) for index in range(24)]
    labels, classes = [0] * 12 + [1] * 12, ["cat", "dog"]
    return Pictures(images, labels, classes), folder_of(tmp_path / "pets", images, labels, classes)


def test_a_dataset_object_trains_to_the_same_weights_as_a_folder_of_its_images(pets: tuple[Pictures, Path]) -> None:
    pictures, folder = pets
    datasets: tuple[Any, ...] = (pictures, folder)
    for number, dataset in enumerate(datasets):
        gancli.train("dcgan", dataset=dataset, image_size=16, width=4, conditional=True, out=f"run{number}", **SMALL)
    first, second = (load_model(Path(f"run{number}/ckpt.safetensors")) for number in range(2))
    assert first.facts.fingerprint == second.facts.fingerprint
    assert (first.facts.images, first.facts.dataset) == (second.facts.images, "python:Pictures")
    weights, same = (each.variant.generator.state_dict() for each in (first, second))
    assert all(torch.equal(weights[name], same[name]) for name in same)


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("modes", ["RGB", "L", "mixed", "RGBA", "P"])
def test_pillow_images_are_decoded_as_those_of_a_folder(tmp_path: Path, modes: str, fit: Any) -> None:
    images = [noise(20, 30 - i, modes if modes != "mixed" else ("L", "RGB")[i % 2], i) for i in range(4)]
    folder = folder_of(tmp_path / "images", images, [0] * 4, ["only"])
    want = open_dataset(str(folder), DatasetOptions(tmp_path, fit=fit), ignore)
    got = opened(Pictures(images), tmp_path, fit=fit)
    assert got.fingerprint == want.fingerprint
    assert got.images.shape[1:] == want.images.shape[1:] == (1 if modes == "L" else 3, 64, 64)


def test_every_kind_of_image_and_item_gives_the_same_pixels(tmp_path: Path) -> None:
    images = [noise(seed=index) for index in range(4)]
    tensors = [from_pil(image) for image in images]
    arrays = [np.asarray(image) for image in images]
    numbers = [3, 7, 3, 7]
    wanted = opened(Pictures(images, numbers), tmp_path)
    assert (wanted.images.shape, wanted.class_names, wanted.labels.tolist()) == (
        (4, 3, 16, 16),
        ("3", "7"),
        [0, 1, 0, 1],
    )
    same: list[Any] = [
        Pictures(tensors, [np.int64(n) for n in numbers]),
        Pictures(arrays, [torch.tensor(n) for n in numbers]),
        Pictures([array.transpose(2, 0, 1) for array in arrays], numbers),
        Pictures([tensor / 255 for tensor in tensors], numbers),
        Pictures([tensor / 127.5 - 1 for tensor in tensors], numbers),
        Pictures([(tensor / 255).double().numpy() for tensor in tensors], numbers),
        TensorDataset(torch.stack(tensors), torch.tensor(numbers)),
        list(zip(images, numbers, strict=True)),
        [{"image": image, "label": number} for image, number in zip(images, numbers, strict=True)],
        [{"img": image, "fine_label": number} for image, number in zip(images, numbers, strict=True)],
        Subset(Pictures([*images, noise()], [*numbers, 9]), range(4)),
    ]
    for number, value in enumerate(same):
        assert opened(value, tmp_path).fingerprint == wanted.fingerprint, number
    grey = [noise(mode="L", seed=index) for index in range(3)]
    for some in (grey, [from_pil(image)[0] for image in grey], [np.asarray(image) / 255 for image in grey]):
        assert torch.equal(opened(Pictures(some), tmp_path).images[:, 0], torch.stack([from_pil(g)[0] for g in grey]))


def test_floats_from_minus_one_are_found_though_the_first_image_has_none_below_zero(tmp_path: Path) -> None:
    dark, bright = torch.full((1, 8, 8), -1.0), torch.full((1, 8, 8), 1.0)
    dataset = DatasetObject(Pictures([bright * 0, bright, dark]))
    source, warnings = warned(open_dataset, dataset, DatasetOptions(tmp_path))
    assert source.images[:, 0, 0, 0].tolist() == [128, 255, 0]
    assert warnings == ["python:Pictures: float values are read as -1 (black) to 1 (white), in 8 bits"]


def test_sizes_that_first_look_equal_become_64_pixels_as_in_a_folder(tmp_path: Path) -> None:
    assert opened(Pictures([noise(16, 16), noise(16, 16)]), tmp_path).images.shape[2:] == (16, 16)
    assert opened(Pictures([noise(16, 16), noise(16, 17)]), tmp_path).images.shape[2:] == (64, 64)
    assert opened(Pictures([noise(16, 16), noise(16, 17)]), tmp_path, image_size=12).images.shape[2:] == (12, 12)


def test_class_names_are_those_of_torchvision_and_hugging_face(tmp_path: Path) -> None:
    images = [noise(seed=index) for index in range(3)]
    assert opened(Pictures(images, [2, 0, 2], ["a", "b", "c"]), tmp_path).class_names == ("a", "c")
    subset = Subset(Pictures(images, [2, 0, 2], ["a", "b", "c"]), [0, 1])
    assert opened(subset, tmp_path).class_names == ("a", "c")
    hub = Pictures([{"image": image, "label": number} for number, image in enumerate(images)])
    hub.features = {"label": type("ClassLabel", (), {"names": ["x", "y", "z"]})()}  # type: ignore[attr-defined]
    assert opened(hub, tmp_path).class_names == ("x", "y", "z")
    imagenet = Pictures(images, [0, 1, 0])
    imagenet.classes = [("tench", "Tinca tinca"), ("goldfish",)]  # type: ignore[list-item]
    assert opened(imagenet, tmp_path).class_names == ("tench, Tinca tinca", "goldfish")
    for odd in (["a", "a", "b"], "abc", [1.5, None, 2], [""] * 3):
        assert opened(Pictures(images, [2, 0, 2], odd), tmp_path).class_names == ("0", "2")  # type: ignore[arg-type]


def test_a_fingerprint_caches_the_images_and_another_one_reads_them_again(tmp_path: Path) -> None:
    pictures = Pictures([noise(seed=index) for index in range(3)], [0, 1, 0], ["a", "b"])
    pictures.fingerprint = "v1"  # type: ignore[attr-defined]
    first = opened(pictures, tmp_path)
    pictures.read.clear()
    again = opened(pictures, tmp_path)
    assert (again.fingerprint, again.class_names, pictures.read) == (first.fingerprint, ("a", "b"), [])
    pictures.fingerprint = "v2"  # type: ignore[attr-defined]
    opened(pictures, tmp_path)
    assert pictures.read
    del pictures.fingerprint  # type: ignore[attr-defined]
    before = sorted((tmp_path / "cache").iterdir())
    assert len(before) == 4
    opened(pictures, tmp_path)
    assert sorted((tmp_path / "cache").iterdir()) == before


def test_images_too_large_for_memory_are_read_into_a_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = opened(Pictures([noise(seed=index) for index in range(3)]), tmp_path)
    for module in ("gancli.data.cache", "gancli.data.torch_dataset"):
        monkeypatch.setattr(f"{module}.is_too_large", lambda _: True)
    mapped = opened(Pictures([noise(seed=index) for index in range(3)]), tmp_path)
    assert mapped.mapped_file is not None
    assert torch.equal(mapped.images, wanted.images)
    assert not list((tmp_path / "cache").iterdir())


class Stream(IterableDataset[Tensor]):
    def __iter__(self) -> Iterator[Tensor]:
        yield torch.zeros(3, 8, 8)


class Endless(TorchDataset[Tensor]):
    def __getitem__(self, index: int) -> Tensor:
        return torch.zeros(3, 8, 8)


class Unfinished(TorchDataset[Tensor]):
    def __len__(self) -> int:
        return 3


def with_fingerprint(fingerprint: object) -> Pictures:
    pictures = Pictures([noise()])
    pictures.fingerprint = fingerprint  # type: ignore[attr-defined]
    return pictures


GOOD = torch.zeros(3, 8, 8, dtype=torch.uint8)
BAD: list[tuple[Callable[[], Any], str]] = [
    (Stream, "dataset=python:Stream: an iterable-style dataset; it must be map-style, with __len__ and __getitem__"),
    (Endless, "dataset=python:Endless: has no __len__; it must be .*"),
    (lambda: (image for image in [GOOD]), "dataset=python:generator: has no __len__; .*"),
    (lambda: {GOOD}, "dataset=python:set: has no __getitem__; .*"),
    (lambda: {"train": [GOOD], "test": [GOOD]}, "dataset=python:dict: a mapping of train, test; pass one of its datasets"),
    (lambda: Pictures([]), "dataset=python:Pictures: is empty"),
    (list, "dataset=python:list: is empty"),
    (lambda: with_fingerprint(3), "dataset=python:Pictures: its fingerprint must be a text .*"),
    (lambda: with_fingerprint("a\nb"), "dataset=python:Pictures: its fingerprint must be a text .*"),
    (Unfinished, "python:Unfinished: item 0: cannot be read .NotImplementedError.*"),
    (lambda: Pictures([GOOD, OSError("gone")]), r"python:Pictures: item 1: cannot be read \(OSError: gone\); .*"),
    (lambda: Pictures([GOOD, GOOD[:2]]), r"python:Pictures: item 1: has the shape \[2, 8, 8\], and must be \[C, H, W\] .*"),
    (lambda: Pictures([GOOD[:, :0]]), r"python:Pictures: item 0: has the shape \[3, 0, 8\], .*"),
    (lambda: Pictures([GOOD[None]]), r"python:Pictures: item 0: has the shape \[1, 3, 8, 8\], .*"),
    (lambda: Pictures([np.zeros((8, 8, 4), np.uint8)]), r"python:Pictures: item 0: has the shape \[8, 8, 4\], .*"),
    (lambda: Pictures([GOOD, GOOD[:1]]), "python:Pictures: item 1: has 1 channels, and item 0 has 3.*"),
    (lambda: Pictures([GOOD.long()]), "python:Pictures: item 0: is int64, and must be uint8 .*"),
    (lambda: Pictures([GOOD / 1, GOOD / 0]), "python:Pictures: item 1: has values that are NaN or infinite.*"),
    (lambda: Pictures([GOOD + 2.5]), "python:Pictures: item 0: has float values from 2.5 to 2.5; scale them to 0 to 1.*"),
    (lambda: Pictures(["cat.png"]), "python:Pictures: item 0: is str, and must be a Pillow image, .*"),
    (lambda: Pictures([None]), "python:Pictures: item 0: is NoneType, .*"),
    (lambda: Pictures([np.array([object()])]), "python:Pictures: item 0: cannot be read .TypeError.*"),
    (lambda: Pictures([(GOOD, 1, 2)]), "python:Pictures: item 0: has 3 parts, and must be an image, or .*"),
    (lambda: Pictures([{"pixels": GOOD}]), "python:Pictures: item 0: has pixels, and must have the key image .*"),
    (lambda: Pictures([GOOD, GOOD], [0, 1.5]), "python:Pictures: item 1: its label is 1.5, and must be an int"),
    (lambda: Pictures([GOOD], ["cat"]), "python:Pictures: item 0: its label is 'cat', and must be an int"),
    (lambda: Pictures([GOOD], [torch.zeros(4)]), "python:Pictures: item 0: its label is tensor.*, and must be an int"),
    (lambda: Pictures([GOOD, GOOD], [0, -1]), "python:Pictures: item 1: its label -1 is not from 0 to 2147483647"),
    (lambda: Pictures([GOOD] * 2, [0, 2], ["a", "b"]), "python:Pictures: item 1: its label 2 is not from 0 to 1 .*"),
    (lambda: Pictures([GOOD, GOOD], [0, None]), "python:Pictures: item 1: has no label, and item 0 has one"),
    (lambda: Pictures([(GOOD,), (GOOD, 1)]), "python:Pictures: item 0: has no label, and item 1 has one"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), BAD)
def test_each_mistake_is_one_line_that_names_the_item(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(GancliError, match=f"^{message}$") as caught:
        gancli.train("vanilla", dataset=make(), out="run", **SMALL)
    assert "\n" not in str(caught.value)


def test_the_error_of_the_users_own_code_is_the_cause() -> None:
    mine = ValueError("no such row")
    with pytest.raises(DataError, match="item 0") as caught:
        gancli.train("vanilla", dataset=Pictures([mine]), out="run", **SMALL)
    assert caught.value.__cause__ is mine


def test_unreadable_items_can_be_left_out(tmp_path: Path) -> None:
    images = [OSError("gone"), *(noise(seed=index) for index in range(3)), GOOD[:2]]
    source = opened(Pictures(images, [0, 1, 2, 1, 0]), tmp_path, bad="skip")
    assert (len(source.images), source.class_names) == (3, ("1", "2"))
    assert torch.equal(source.images[0], from_pil(noise(seed=0)))
    assert source.note.startswith(
        "2 unreadable images left out: python:Pictures: item 0: cannot be read (OSError: gone)"
    )
    with pytest.raises(DataError, match="none of its items can be read; the first: python:Pictures: item 0"):
        opened(Pictures([OSError("gone")] * 2), tmp_path, bad="skip")


def test_a_run_on_an_object_resumes_with_the_object_and_says_that_no_command_repeats_it(gan: Gan) -> None:
    pictures = Pictures([noise(seed=index) for index in range(20)])
    run = gancli.train("vanilla", dataset=pictures, out="run", **SMALL, lr_decay=0.0)
    config = Path("run/config.toml")
    assert "not by a command line" in config.read_text("utf-8").splitlines()[0]
    assert toml.read(config)["dataset"] == "python:Pictures"
    with pytest.raises(UsageError, match=r"^dataset=python:Pictures: an object of Python, .*; pass it"):
        gancli.train(resume="run", steps=8)
    outcome = gan("train", "--resume", "run", "--steps", 8)
    assert (outcome.code, "an object of Python" in outcome.err) == (2, True)
    other = Pictures([noise(seed=index + 1) for index in range(20)])
    with pytest.raises(UsageError, match="the same number and size of images, but other images or labels"):
        gancli.train(resume="run", steps=8, dataset=other)
    with pytest.raises(UsageError, match=r"20 images .* but 19 images"):
        gancli.train(resume="run", steps=8, dataset=Pictures(pictures.images[:19]))
    resumed = gancli.train(resume="run", steps=8, dataset=pictures)
    assert resumed.finished is not None
    assert resumed.finished.resume_command == f"gancli.train(resume={str(Path('run'))!r}, dataset=...)"
    whole = gancli.train("vanilla", dataset=pictures, out="whole", **(SMALL | {"steps": 8, "lr_decay": 0.0}))
    first, second = (
        load_model(Path(each) / "ckpt.safetensors").variant.generator.state_dict() for each in (run, whole)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    again = gancli.train(config=config, dataset=pictures, out="again")
    assert again.status == "done"
    for words in (("train", "-d", "python:Pictures"), ("evaluate", "run"), ("train", "--config", config, "--out", "x")):
        outcome = gan(*words)
        assert (outcome.code, outcome.err.count("\n")) == (2, 1), words
        assert "--dataset python:Pictures: an object of Python, which no command line can name" in outcome.err
    assert gan("inspect", "run").code == gan("runs", ".").code == gan("report", "run").code == 0


def test_the_variant_suits_the_items() -> None:
    assert gancli.training(dataset=Pictures([noise(32, 32)] * 4)).variant == "dcgan"
    assert gancli.training(dataset=Pictures([noise(28, 28, "L")] * 4)).variant == "vanilla"
    assert gancli.training(dataset=Pictures([OSError("gone")])).variant == "vanilla"
    normalised = torch.linspace(-1, 1, 3 * 32 * 32).view(3, 32, 32)
    assert gancli.training(dataset=Pictures([OSError("gone"), normalised, normalised])).variant == "dcgan"


def test_without_out_the_run_is_named_after_the_class() -> None:
    assert gancli.train("vanilla", dataset=Pictures([noise()] * 4), **SMALL).out == Path("runs/vanilla-Pictures-001")


def test_models_are_measured_on_an_object_as_on_a_folder_of_its_images(tmp_path: Path) -> None:
    images = [noise(seed=index) for index in range(60)]
    pictures, folder = Pictures(images), folder_of(tmp_path / "images", images, [0] * 60, ["only"])
    gancli.train("vanilla", dataset=pictures, out="run", **SMALL)
    first, second = (gancli.evaluate("run", dataset=each, n=12, metrics="swd") for each in (pictures, folder))
    assert first[0] == second[0]
    assert first.document()["dataset"] == "python:Pictures"
    with pytest.raises(UsageError, match=r"^dataset=python:Pictures: an object of Python"):
        gancli.evaluate("run", n=12)


def test_srgan_trains_on_a_list_of_images_of_mixed_sizes(tmp_path: Path) -> None:
    images = [noise(40 + 8 * index, 48, seed=index) for index in range(3)]
    folder = folder_of(tmp_path / "images", images, [0] * 3, ["only"])
    small: dict[str, Any] = {"image_size": 16, "width": 4, "blocks": 1, "d_width": 4, "device": "cpu"}
    datasets: tuple[Any, ...] = (images, folder)
    for number, dataset in enumerate(datasets):
        gancli.train("srgan", dataset=dataset, steps=2, batch_size=2, out=f"run{number}", **small)
    first, second = (load_model(Path(f"run{number}/ckpt.safetensors")) for number in range(2))
    assert first.facts.fingerprint == second.facts.fingerprint
    with pytest.raises(UsageError, match="srgan is measured on files"):
        gancli.evaluate("run0", dataset=images)


def test_texts_and_arrays_are_no_dataset_objects() -> None:
    with pytest.raises(UsageError, match="only the command line takes several"):
        gancli.train(dataset=["digits", "shapes"])
    with pytest.raises(UsageError, match=r"numpy\.savez"):
        gancli.train(dataset=torch.zeros(3, 8, 8))
