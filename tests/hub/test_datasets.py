"""`-d hf:OWNER/NAME`, through the real client: files, splits and columns, and what goes wrong."""

import http.server
import io
import sys
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gancli.data.dataset import Dataset
from gancli.data.opening import open_dataset
from gancli.data.options import DatasetOptions, Selection
from gancli.data.photographs import open_photographs
from gancli.errors import DataError, StoppedError, UsageError
from gancli.events import Event, Preparing
from gancli.files import hub as client
from tests.conftest import TINY, Gan, warned
from tests.data.packed import features, in_parquet, in_tar, in_zip, pets, png, rows, samples
from tests.hub.conftest import offline
from tests.hub.server import Hub, times
from tests.pictures import noise

DCGAN = ("-v", "dcgan", *TINY, "--width", 4, "--progress", "none")


def parquet(tmp_path: Path, files: Mapping[str, bytes], names: tuple[str, ...] = ("cat", "dog")) -> bytes:
    """A Parquet file of images in class folders."""
    metadata = features(image=None, label=list(names))
    return in_parquet(tmp_path / "made" / "a.parquet", rows(files), metadata).read_bytes()


def some(start: int, *pets: str) -> dict[str, bytes]:
    """Three images for each class, whose first pixels are `start`, `start` + 1, …"""
    return {f"{pet}/{n}.png": png(start + 3 * index + n) for index, pet in enumerate(pets) for n in range(3)}


def opened(word: str, split: Any = "train", download: bool = True, **selection: Any) -> tuple[Dataset, list[str]]:
    options = DatasetOptions(Path("root"), 8, download, split=split, selection=Selection(**selection))
    return warned(open_dataset, word, options)


def firsts(source: Dataset) -> list[int]:
    """The first pixel of each image."""
    return sorted(source.images[:, 0, 0, 0].tolist())


@pytest.fixture
def shards(hub: Hub, tmp_path: Path) -> Hub:
    """o/pets: two Parquet shards to train on, one to test on, and other files."""
    hub.dataset("o/pets", {
        "data/train-00000-of-00002.parquet": parquet(tmp_path, some(0, "cat", "dog")),
        "data/train-00001-of-00002.parquet": parquet(tmp_path, some(6, "cat", "dog")),
        "data/test-00000-of-00001.parquet": parquet(tmp_path, some(20, "cat", "dog")),
        "README.md": b"---\nlicense: mit\n---\n# Pets\n",
        "pets.py": b"raise SystemExit('a script was run')\n", "model.pkl": b"\x80\x04.", "pictures.zip": b"PK",
    })  # fmt: skip
    return hub


def test_a_run_trains_on_a_dataset_and_keeps_its_commit(shards: Hub, gan: Gan, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = shards.repos["datasets", "o/pets"]
    commit = repo.commit
    done = gan("train", *DCGAN, "-d", "hf:o/pets", "--steps", 5, "--out", "run")
    assert done.code == 0, done.err
    assert f'dataset = "hf:o/pets@{commit}"' in Path("run/config.toml").read_text()
    fetched = [path.rpartition("/")[2] for path in shards.asked("GET") if "/resolve/" in path or "/lfs/" in path]
    assert sorted(fetched) == ["README.md", "train-00000-of-00002.parquet", "train-00001-of-00002.parquet"]

    # The repository changes: the run, and a repeat of it, stay with what they began with.
    repo.files["data/train-00000-of-00002.parquet"] = repo.files["data/test-00000-of-00001.parquet"]
    assert repo.commit != commit
    again = ("train", *DCGAN, "-d", "hf:o/pets", "--out", "run", "--resume", "auto")
    assert gan(*again, "--steps", 10).code == 0
    offline(monkeypatch)
    assert (
        gan("train", "--config", "run/config.toml", "--out", "repeated", "--steps", 10, "--progress", "none").code == 0
    )
    assert Path("run/ckpt.safetensors").read_bytes() == Path("repeated/ckpt.safetensors").read_bytes()
    outcome = gan("evaluate", "run", "-n", "10", "--metrics", "swd")
    assert outcome.code == 1
    assert "test-00000-of-00001.parquet" not in outcome.err
    assert "not in the cache of huggingface_hub, and HF_HUB_OFFLINE is set" in outcome.err


def test_a_variant_is_chosen_and_the_run_is_named_after_the_repository(shards: Hub, gan: Gan) -> None:
    done = gan("train", "-d", "hf:o/pets", *TINY, "--width", 4, "--steps", 1, "--progress", "plain")
    assert done.code == 0
    assert done.out == "runs/dcgan-pets-001/ckpt.safetensors\n"
    assert "variant dcgan, for a dataset of the hub" in done.err
    assert "2 Parquet files of the split train" in done.err
    assert "left out: 3 other files (model.pkl, pets.py, pictures.zip)" in done.err
    assert not any("pets.py" in path for path in shards.asked())


@pytest.mark.usefixtures("shards")
def test_splits_are_told_by_names_and_chosen_with_split() -> None:
    assert firsts(opened("hf:o/pets")[0]) == list(range(12))
    assert firsts(opened("hf:o/pets", "test")[0]) == list(range(20, 26))
    source, notes = opened("hf:o/pets", split="train")
    assert (source.class_names, source.name) == (("cat", "dog"), "hf:o/pets")
    assert firsts(opened_split("hf:o/pets", "test")) == list(range(20, 26))
    with pytest.raises(UsageError, match=r"--split val: hf:o/pets@\w+ has the splits test, train"):
        opened_split("hf:o/pets", "val")
    assert all("data/" not in note for note in notes)


def opened_split(word: str, name: str) -> Dataset:
    return warned(open_dataset, word, DatasetOptions(Path("root"), 8, download=True, selection=Selection(split=name)))[
        0
    ]


def test_a_test_split_has_the_classes_of_the_training_split(hub: Hub, tmp_path: Path) -> None:
    hub.dataset("o/pets", {
        "train.parquet": parquet(tmp_path, some(0, "cat", "dog", "yak"), ("cat", "dog", "yak")),
        "validation.parquet": parquet(tmp_path, some(30, "ant", "dog"), ("ant", "dog")),
    })  # fmt: skip
    source, notes = opened("hf:o/pets", "test")
    assert source.class_names == ("cat", "dog", "yak")
    assert (source.labels.tolist(), firsts(source)) == ([1, 1, 1], [33, 34, 35])
    assert "3 images of the test split left out: of other classes (ant)" in notes


def test_a_readme_says_which_files_are_which_split(hub: Hub, tmp_path: Path) -> None:
    readme = """---
configs:
- config_name: small
  data_files:
  - split: train
    path: part-a/*.parquet
  - split: test
    path: ["part-b/*.parquet"]
- config_name: large
  data_files: "**/x-*.parquet"
---
"""
    hub.dataset("o/pets", {
        "part-a/x-0.parquet": parquet(tmp_path, some(0, "cat", "dog")),
        "part-b/x-1.parquet": parquet(tmp_path, some(50, "cat", "dog")),
        "README.md": readme.encode(),
    })  # fmt: skip
    with pytest.raises(
        UsageError, match=r"has several configurations \(small, large\); choose one, such as hf:o/pets/small@"
    ):
        opened("hf:o/pets")
    assert firsts(opened("hf:o/pets/small")[0]) == list(range(6))
    assert firsts(opened("hf:o/pets/small", "test")[0]) == list(range(50, 56))
    assert firsts(opened("hf:o/pets/large")[0]) == [*range(6), *range(50, 56)]
    with pytest.raises(DataError, match=r"has no configuration or folder medium; it has part-a, part-b"):
        opened("hf:o/pets/medium")


@pytest.mark.parametrize(
    "text", [b"configs: [", b"configs: 3\n", b"configs:\n- data_files: 3\n", b"- a\n", b"\xff\xfe", b"a: &a [*a]\n"]
)
def test_a_readme_that_cannot_be_read_is_no_obstacle(text: bytes, hub: Hub, tmp_path: Path) -> None:
    hub.dataset("o/pets", {"train.parquet": parquet(tmp_path, pets()), "README.md": b"---\n" + text + b"\n---\n"})
    assert len(opened("hf:o/pets")[0].images) == 6


def test_folders_of_parquet_files_are_configurations(hub: Hub, tmp_path: Path) -> None:
    files = {
        f"{name}/train/0000.parquet": parquet(tmp_path, some(at, "cat", "dog")) for name, at in (("a", 0), ("b", 60))
    }
    hub.dataset("o/pets", files)
    with pytest.raises(UsageError, match=r"has several configurations \(a, b\); choose one, such as hf:o/pets/a@"):
        opened("hf:o/pets")
    assert firsts(opened("hf:o/pets/b")[0]) == list(range(60, 66))


def test_files_that_say_no_split_are_left_out_beside_those_that_do(hub: Hub, tmp_path: Path) -> None:
    files = {f"{name}.parquet": parquet(tmp_path, some(at, "cat", "dog")) for name, at in (("train", 0), ("more", 60))}
    hub.dataset("o/pets", files)
    source, notes = opened("hf:o/pets")
    assert firsts(source) == list(range(6))
    assert any("left out: 1 other file (more.parquet)" in note for note in notes)
    hub.dataset("o/vehicles", {f"{kind}/{n}.png": png(n) for kind in ("car", "train") for n in range(3)})
    assert opened("hf:o/vehicles")[0].class_names == ("car", "train")


def test_shards_of_any_names_and_folders_are_one_dataset(hub: Hub, tmp_path: Path) -> None:
    names = ("x/[1]-{a,b}.parquet", "x/y/0000.parquet", "z.parquet")
    tables = {name: parquet(tmp_path, some(6 * n, "cat", "dog")) for n, name in enumerate(names)}
    readme = b"---\nconfigs:\n- config_name: default\n  data_files: ['x/**/*.parquet', z.parquet]\n---\n"
    hub.dataset("o/pets", {**tables, "other.parquet": tables["z.parquet"], "README.md": readme})
    source, _ = opened("hf:o/pets")
    assert firsts(source) == list(range(18))
    assert source.num_images == 18


def test_columns_are_chosen_by_options(hub: Hub, tmp_path: Path, gan: Gan) -> None:
    table: dict[str, list[Any]] = {
        "left": [{"bytes": png(value)} for value in range(6)], "right": [{"bytes": png(90 + value)} for value in range(6)],
        "kind": ["a", "b"] * 3, "label": [0, 0, 0, 1, 1, 1],
    }  # fmt: skip
    path = in_parquet(tmp_path / "eyes.parquet", table)
    hub.dataset("o/eyes", {"eyes.parquet": path.read_bytes()})
    with pytest.raises(
        DataError, match=r"several columns may have images \(left, right\); choose one with --image-column"
    ):
        opened("hf:o/eyes")
    for word in ("hf:o/eyes", str(path)):
        source, _ = opened(word, image_column="right", label_column="kind")
        assert (firsts(source), source.class_names) == (list(range(90, 96)), ("a", "b"))
        assert firsts(opened(word, image_column="left")[0]) == list(
            range(6)
        )  # of the same size: no other's cache entry
        with pytest.raises(DataError, match=r"--image-column kind: no such column of images in .*; it has left"):
            opened(word, image_column="kind")
        with pytest.raises(DataError, match=r"--label-column x: no such column in"):
            opened(word, image_column="left", label_column="x")
    done = gan("train", "-v", "cgan", *TINY, "-d", "hf:o/eyes", "--image-column", "left", "--label-column", "kind",
               "--steps", 1, "--out", "run", "--progress", "none")  # fmt: skip
    assert done.code == 0, done.err
    assert 'image_column = "left"' in Path("run/config.toml").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--split", "test"),
            "--split test: is for datasets of the hub (hf:OWNER/NAME); of digits give the folder or file",
        ),
        (("--image-column", "x"), "--image-column x: is for Parquet files, and digits has none"),
    ],
)
def test_options_without_effect_are_refused(options: tuple[str, ...], message: str, gan: Gan) -> None:
    done = gan("train", *TINY, *options, "--steps", 1)
    assert done.code == 2
    assert message in done.err


def test_tars_zips_and_folders_of_images_are_read(hub: Hub, tmp_path: Path) -> None:
    files = pets()
    tar = in_tar(tmp_path / "a.tar", samples(files, ".txt", {"cat": "cat", "dog": "dog"})).read_bytes()
    hub.dataset("o/tars", {"train-0.tar": tar, "test-0.tar": tar, "x.png": png(1)})
    hub.dataset("o/zip", {"data.zip": in_zip(tmp_path / "a.zip", files).read_bytes(), "data.json": b"{}"})
    hub.dataset("o/folder", {**pets("train/", "test/"), ".hidden/x.png": png(1)})
    hub.dataset("o/split", {**{f"validation/{name}": data for name, data in pets().items()}})
    hub.dataset("o/two", {"a.zip": b"PK", "b.zip": b"PK"})
    csv = b"file_name,label\n" + b"".join(f"{n}.png,{'ab'[n % 2]}\n".encode() for n in range(6))
    hub.dataset("o/labels", {**{f"{n}.png": png(n) for n in range(6)}, "metadata.csv": csv})
    for name in ("tars", "zip", "folder", "split"):
        source, _ = opened(f"hf:o/{name}")
        assert (len(source.images), source.class_names) == (6, ("cat", "dog")), name
        assert len(opened(f"hf:o/{name}", "test")[0].images) == 6
    assert opened("hf:o/labels")[0].class_names == ("a", "b")
    with pytest.raises(UsageError, match=r"several zips \(a.zip, b.zip\), of which only one can be read"):
        opened("hf:o/two")
    photographs, _ = warned(open_photographs, "hf:o/folder", DatasetOptions(Path("root"), 8, download=True))
    assert (photographs.num_images, photographs.name) == (6, "hf:o/folder")


def test_srgan_is_evaluated_on_a_dataset(hub: Hub, gan: Gan, tmp_path: Path) -> None:
    images = {}
    for n in range(4):
        out = io.BytesIO()
        noise("RGB", (32, 32)).save(out, "PNG")
        images[f"{n}.png"] = out.getvalue()
    tables = {
        f"test-{n}.parquet": in_parquet(
            tmp_path / "a.parquet", {"image": [{"bytes": data} for data in images.values()]}
        ).read_bytes()
        for n in range(2)
    }
    hub.dataset("o/photos", tables)
    done = gan("evaluate", "srgan-x4", "-d", "hf:o/photos")
    assert done.code == 0, done.err
    assert "hf:o/photos@" in done.out


# What a repository or a server may do.


def test_a_script_alone_is_never_run(hub: Hub) -> None:
    hub.dataset("o/script", {"script.py": b"raise SystemExit('run')", "x.pkl": b"\x80\x04."})
    with pytest.raises(
        DataError, match=r"only has a script that loads it \(script.py\), which gan never runs; .*hf:o/script@refs/"
    ):
        opened("hf:o/script")
    hub.dataset("o/none", {"a.txt": b"x"})
    with pytest.raises(DataError, match=r"has no Parquet files, tars, zip or images; it has a.txt"):
        opened("hf:o/none")
    hub.dataset("o/empty", {})
    with pytest.raises(DataError, match="it has no files"):
        opened("hf:o/empty")


@pytest.mark.parametrize(
    "name", ["../x.png", "/x.png", "a/../../x.png", "..", "a\\..\\x.png", "x\n.png", ".git/x.png", "a//x.png"]
)
def test_names_that_leave_the_folder_are_left_out(name: str, hub: Hub, tmp_path: Path, cache: Path) -> None:
    hub.dataset("o/bad", {**pets(), name: png(250)})
    before = {path for path in tmp_path.rglob("*") if "root" not in path.parts}
    source, notes = opened("hf:o/bad")
    assert len(source.images) == 6
    assert any("left out: 1 other file" in note for note in notes)
    assert {path for path in tmp_path.rglob("*") if "root" not in path.parts} == before
    outside = [path for path in cache.parent.rglob("*") if path.is_file() and not path.resolve().is_relative_to(cache)]
    assert outside == []


def test_links_in_archives_are_not_followed(hub: Hub, tmp_path: Path) -> None:
    Path(tmp_path / "secret.png").write_bytes(png(99))
    path = in_tar(tmp_path / "a.tar", pets())
    with tarfile.open(path, "a") as tar:
        link = tarfile.TarInfo("cat/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret.png")
        tar.addfile(link)
    hub.dataset("o/links", {"a.tar": path.read_bytes()})
    source, _ = opened("hf:o/links")
    assert 99 not in firsts(source)


def test_too_much_is_not_downloaded(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = hub.dataset("o/large", {"a.tar": b"x", "b.txt": b"y"}, sizes={"a.tar": 21 * 10**9, "b.txt": 10**12})
    with pytest.raises(
        DataError, match=r"21\.0 GB to download, over the limit of 20\.0 GB; GAN_HUB_SIZE=21G raises it"
    ):
        opened("hf:o/large")
    assert not any("/resolve/" in path for path in hub.asked())
    repo.files |= {"c.png": png(0), "d.png": png(1)}
    repo.files.pop("a.tar")
    assert len(opened("hf:o/large")[0].images) == 2  # what is not fetched does not count
    monkeypatch.setenv("GAN_HUB_SIZE", "much")
    with pytest.raises(UsageError, match=r"GAN_HUB_SIZE=much: must be a size such as 500M or 20G"):
        opened("hf:o/large")


def test_what_is_no_image_is_named_with_its_repository(hub: Hub) -> None:
    hub.dataset("o/bad", {"a.png": png(0), "b.png": b"no image", "c.parquet.png": b"x"})
    with pytest.raises(DataError, match=r"hf:o/bad@\w{40}/[bc]\S*\.png: .*--on-bad-image skip") as caught:
        opened("hf:o/bad")
    assert "snapshots" not in str(caught.value)
    hub.dataset("o/broken", {"a.parquet": b"PAR1"})
    with pytest.raises(DataError, match=r"hf:o/broken@\w{40}/a\.parquet: cannot be read as a Parquet file"):
        opened("hf:o/broken")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("hf:o/missing", "no such dataset repository at http://127.0.0.1"),
        ("hf:o/pets@v9", "no such revision"),
        ("hf:o/private", "or a private one (log in with `hf auth login` or HF_TOKEN)"),
        ("hf:o/gated", "gated: accept its terms at http://127.0.0.1"),
    ],
)
def test_what_cannot_be_had_says_why(word: str, message: str, hub: Hub, gan: Gan) -> None:
    hub.dataset("o/pets", pets())
    hub.dataset("o/private", pets(), private=True)
    hub.dataset("o/gated", pets(), gated=True)
    done = gan("train", *DCGAN, "-d", word, "--steps", 1)
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert message in done.err
    assert not Path("runs").exists() or not any(Path("runs").iterdir()) or "gated" in word


def test_a_token_opens_a_private_repository_and_is_sent_to_the_hub_only(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.dataset("o/private", {"a.parquet": parquet(tmp_path, pets())}, private=True)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(DataError, match=r"access denied \(401\); log in"):
        opened("hf:o/private")
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert len(opened("hf:o/private")[0].images) == 6
    assert ("hub", "Bearer hf_right") in hub.tokens
    assert {token for place, token in hub.tokens if place == "storage"} == {""}


@pytest.mark.parametrize(
    "word", ["hf:", "hf:pets", "hf:o/pets@", "hf:o/../x", "hf:o/pets@../x", "hf:o/p@a b", "hf:o/é", "hf:o/pets.git"]
)
def test_a_word_that_is_no_repository_is_refused(word: str, gan: Gan) -> None:
    done = gan("train", "-d", word, "--steps", 1)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert f"--dataset {word}: must be hf:OWNER/NAME or hf:OWNER/NAME@REVISION" in done.err


@pytest.mark.usefixtures("shards")
def test_other_ways_to_write_a_repository() -> None:
    assert str(client.parse("hf://datasets/o/pets@main", "-d")) == "hf:o/pets@main"
    assert str(client.parse("hf:o/pets/data/more@refs/pr/1", "-d")) == "hf:o/pets/data/more@refs/pr/1"
    with pytest.raises(UsageError, match=r"a dataset of the Hugging Face Hub is given as hf:o/pets"):
        opened("https://huggingface.co/datasets/o/pets/tree/main")
    with pytest.raises(UsageError, match=r"did you mean hf:o/pets, of the Hugging Face Hub\?"):
        opened("o/pets")


def too_many(request: http.server.BaseHTTPRequestHandler) -> None:
    request.send_response(429)
    request.send_header("Content-Length", "0")
    request.send_header("Retry-After", "0")
    request.end_headers()


def cut(request: http.server.BaseHTTPRequestHandler) -> None:
    """Half of a file, and the connection ends."""
    request.send_response(200)
    request.send_header("Content-Length", "1000000")
    request.end_headers()
    request.wfile.write(b"PAR1")
    request.close_connection = True


def slow(request: http.server.BaseHTTPRequestHandler) -> None:
    time.sleep(3)
    cut(request)


def test_transient_faults_are_retried(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    hub.dataset("o/pets", {"a.parquet": parquet(tmp_path, pets())})
    hub.faults["/lfs/"] = times(2, too_many)
    assert len(opened("hf:o/pets")[0].images) == 6
    hub.dataset("o/cut", {"a.parquet": parquet(tmp_path, pets())})
    hub.faults["/lfs/"] = times(2, cut)
    assert len(opened("hf:o/cut")[0].images) == 6


def test_a_fault_that_stays_is_one_line_and_leaves_nothing_broken(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    hub.dataset("o/pets", {"a.parquet": parquet(tmp_path, pets())})
    hub.faults["/lfs/"] = times(1000, cut)
    with pytest.raises(DataError, match=r"hf:o/pets@\w{40}: ") as caught:
        opened("hf:o/pets")
    assert "\n" not in str(caught.value)
    assert list(cache.rglob("*.incomplete")) == []
    hub.faults["/lfs/"] = times(1000, too_many)
    with pytest.raises(DataError, match=r"\(429\); try again later"):
        opened("hf:o/pets")
    hub.faults.clear()
    assert len(opened("hf:o/pets")[0].images) == 6


@pytest.mark.usefixtures("shards")
def test_without_a_connection_the_last_commit_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    first, _ = opened("hf:o/pets")
    assert firsts(opened("hf:o/pets", download=False)[0]) == firsts(first)
    with pytest.raises(DataError, match="not in the cache of huggingface_hub, and --no-download is given"):
        opened("hf:o/pets", "test", download=False)
    with pytest.raises(DataError, match="hf:o/never: not in the cache of huggingface_hub, and --no-download is given"):
        opened("hf:o/never", download=False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert firsts(opened("hf:o/pets")[0]) == firsts(first)
    with pytest.raises(DataError, match=r"http://127\.0\.0\.1:9 cannot be reached"):
        opened("hf:o/other")
    offline(monkeypatch)
    assert firsts(opened("hf:o/pets")[0]) == firsts(first)


def test_a_stop_ends_the_download(hub: Hub, tmp_path: Path) -> None:
    hub.dataset("o/pets", {"a.parquet": parquet(tmp_path, pets())})
    hub.faults["/lfs/"] = times(1, slow)

    def stop(event: Event) -> None:
        if isinstance(event, Preparing):
            raise StoppedError("stopped")

    with pytest.raises(StoppedError):
        open_dataset("hf:o/pets", DatasetOptions(Path("root"), 8, download=True), stop)


def test_no_telemetry_is_sent(shards: Hub) -> None:
    opened("hf:o/pets")
    assert not any("telemetry" in path or "agent" in path for path in shards.asked())
    assert not any("torch" in agent for agent in shards.agents)


def test_a_missing_extra_names_itself(hub: Hub, gan: Gan, monkeypatch: pytest.MonkeyPatch) -> None:
    del hub
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for words in (("train", "-d", "hf:o/pets"), ("sample", "hf:o/pets"), ("export", "digits", "--push", "o/pets")):
        done = gan(*words)
        assert (done.code, done.err.count("\n")) == (1, 1)
        assert "huggingface_hub is missing: pip install 'gancli[hub]'" in done.err
