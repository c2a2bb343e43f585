"""`hf:OWNER/NAME` as a checkpoint, and `gan export --push`, through the real client."""

import http.server
import json
from pathlib import Path

import pytest
from PIL import Image
from safetensors import safe_open

import gancli
from gancli.errors import CheckpointError, UsageError
from gancli.store import pretrained
from gancli.store.pretrained import pretrained_file
from tests.conftest import SMALL, Finished, Gan, gan_process
from tests.hub.conftest import offline
from tests.hub.server import Hub

DIGITS = pretrained_file("digits").read_bytes()


@pytest.fixture
def models(hub: Hub) -> Hub:
    """me/digits: what `gan export digits -o digits/` makes, as far as it is read."""
    hub.model("me/digits", {"model.safetensors": DIGITS, "README.md": b"# digits\n", "run.py": b"raise SystemExit"})
    return hub


def pixels(path: str) -> bytes:
    """Return the pixels of a file, whose text names the model."""
    with Image.open(path) as image:
        return image.tobytes()


def test_a_model_is_used_wherever_a_checkpoint_is(models: Hub, gan: Gan, cache: Path) -> None:
    commit = models.repos["models", "me/digits"].commit
    done = gan("sample", "hf:me/digits", "-n", 4, "-o", "a.png")
    assert (done.code, done.err) == (0, f"note: hf:me/digits: commit {commit}\n")
    assert gan("sample", "digits", "-n", 4, "-o", "b.png").code == 0
    assert pixels("a.png") == pixels("b.png")
    assert gan("inspect", f"hf:me/digits@{commit}").code == 0
    assert gan("export", "hf:me/digits", "-o", "folder/").code == 0
    assert Path("folder/model.safetensors").read_bytes() == DIGITS
    assert "license:" not in Path("folder/README.md").read_text()  # only our own pretrained models have one by default
    done = gan("evaluate", "hf:me/digits", "digits", "-d", "digits", "-n", 20, "--metrics", "swd")
    assert done.code == 0, done.err
    assert f"hf:me/digits@{commit[:4]}" in done.out.replace("\n", "").replace(" ", "")
    assert gan("report", "hf:me/digits", "-o", "page.html").code == 0
    model = gancli.load("hf:me/digits")
    assert len(model.sample(2)) == 2
    assert [path.name for path in cache.glob("models--me--digits/snapshots/*/*")] == ["model.safetensors"]
    assert not any(path.endswith((".py", "README.md")) for path in models.asked())


def test_a_run_that_starts_from_a_model_records_its_commit(
    models: Hub, gan: Gan, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = models.repos["models", "me/digits"]
    commit = repo.commit
    tiny = ("--batch-size", 16, "--device", "cpu", "--threads", 1, "--progress", "none")
    words = ("train", "--init-from", "hf:me/digits", *tiny)
    done = gan(*words, "--steps", 1, "--out", "run")
    assert done.code == 0, done.err
    assert f'init_from = "hf:me/digits@{commit}"' in Path("run/config.toml").read_text()
    repo.files["model.safetensors"] = b"changed"
    assert gan(*words, "--steps", 2, "--out", "run", "--resume", "auto").code == 0
    offline(monkeypatch)
    done = gan("train", "--config", "run/config.toml", "--steps", 2, "--out", "again", "--progress", "none")
    assert done.code == 0, done.err
    for run in ("run", "again"):
        assert gan("sample", run, "-n", 4, "-o", f"{run}.png").code == 0
    assert pixels("run.png") == pixels("again.png")


def test_another_program_reads_the_environment(models: Hub) -> None:
    done = gan_process("sample", "hf:me/digits", "-n", 1, "-o", "a.png")
    assert done.returncode == 0, done.stderr
    models.repos.clear()
    done = gan_process("sample", "hf:me/digits", "-n", 1, "-o", "b.png", HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    done = gan_process("sample", "hf:me/other", HF_HUB_OFFLINE="1")
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert b"CKPT hf:me/other: not in the cache of huggingface_hub, and HF_HUB_OFFLINE is set" in done.stderr


def test_what_is_no_model_of_ours_says_so(hub: Hub, gan: Gan) -> None:
    hub.model("o/pickle", {"pytorch_model.bin": b"\x80\x04cos\nsystem\n.", "config.json": b"{}"})
    hub.model("o/other", {"model.safetensors": b'\x10\0\0\0\0\0\0\0{"a": 1}        '})
    hub.model("o/large", {"model.safetensors": b"x"}, sizes={"model.safetensors": 10**11})
    hub.model("o/private", {"model.safetensors": DIGITS}, private=True)
    for name, message in {
        "o/pickle": "has no model.safetensors, which `gan export` writes for a model hub; it has config.json, pytorch_",
        "o/other": "model.safetensors: ",
        "o/large": "100 GB to download, over the limit of 20.0 GB; GAN_HUB_SIZE=100G raises it",
        "o/private": "no such model repository at",
        "o/missing": "no such model repository at",
    }.items():
        done = gan("sample", f"hf:{name}")
        assert (done.code, done.out, done.err.splitlines()[:-1]) in [
            (1, "", []), (1, "", [f"note: hf:{name}: commit {hub.repos['models', 'o/other'].commit}"]),
        ], done.err  # fmt: skip
        assert message in done.err
    with pytest.raises(UsageError, match="must be hf:OWNER/NAME"):
        gancli.load("hf:digits")
    with pytest.raises(CheckpointError, match="no such revision"):
        gancli.load("hf:o/pickle@v1")
    assert gan("train", "--init-from", "hf:o/missing", "--steps", 1).code == 1


def test_names_of_files_in_the_cache() -> None:
    commit = "0123456789" * 4
    file = Path(f"/hf/hub/models--me--a--b/snapshots/{commit}/model.safetensors")
    assert pretrained.known_name(file) == f"hf:me/a--b@{commit}"
    assert pretrained.known_name(Path("/hf/hub/models--me--a/snapshots/main/model.safetensors")) == ""
    assert pretrained.known_name(pretrained_file("digits")) == "digits"


# gan export --push


def test_a_model_is_uploaded_and_can_be_used(
    hub: Hub, gan: Gan, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    run = finished("train", "-v", "cgan", *SMALL, "--steps", 2)
    done = gan("export", run, "--push", "me/mine", "--license", "cc-by-4.0")
    assert (done.code, done.out) == (0, f"{hub.address}/me/mine\n")
    repo = hub.repos["models", "me/mine"]
    assert sorted(repo.files) == ["README.md", "config.json", "model.safetensors", "samples.png"]
    assert f"uploaded as commit {repo.commit}" in done.err
    assert not repo.private
    assert b'license: "cc-by-4.0"' in repo.files["README.md"]
    assert gan("sample", "hf:me/mine", "-n", 2).code == 0
    assert gan("export", "hf:me/mine", "-o", "copy/").code == 0
    assert "# mine\n" in Path("copy", "README.md").read_text("utf-8"), "not the name of a folder of the cache"

    again = gan("export", run, "--push", "me/mine", "--json")  # a new commit of the same repository
    assert again.code == 0, again.err
    assert json.loads(again.out)["commit"] == repo.commit
    refused = gan("export", run, "--push", "me/mine", "--private")
    assert refused.code == 1
    assert "--private: me/mine exists, and is public; change that in its settings" in refused.err
    assert gan("export", run, "--push", "me/secret", "--private", "-o", "kept/").code == 0
    assert hub.repos["models", "me/secret"].private
    assert sorted(path.name for path in Path("kept").iterdir()) == sorted(repo.files)


def test_a_dry_run_uploads_nothing(hub: Hub, gan: Gan, tmp_path: Path) -> None:
    done = gan("export", "digits", "--push", "hf:me/digits", "--private", "--dry-run", "-o", "folder/")
    assert (done.code, done.out) == (0, f"{hub.address}/me/digits\n")
    assert "would be uploaded to" in done.err
    assert "model.safetensors  1 MB" in done.err
    found = json.loads(gan("export", "digits", "--push", "me/digits", "--dry-run", "--json").out)
    assert found["files"]["model.safetensors"] == len(DIGITS)
    assert (found["commit"], hub.requests, list(tmp_path.iterdir())) == (None, [], [])


def unavailable(request: http.server.BaseHTTPRequestHandler) -> bool:
    request.send_response(400)
    request.send_header("Content-Length", "0")
    request.end_headers()
    return True


def test_a_failed_upload_leaves_the_folder(hub: Hub, gan: Gan, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = gan("export", "digits", "--push", "me/digits")  # nobody is logged in
    assert refused.code == 1
    assert "--push me/digits: access denied (401); log in with `hf auth login` or HF_TOKEN" in refused.err
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert "--push you/digits: access denied (403)" in gan("export", "digits", "--push", "you/digits").err
    hub.faults["/api/models/me/digits/commit"] = unavailable
    failed = gan("export", "digits", "--push", "me/digits")
    assert (failed.code, failed.out) == (1, "")
    assert f"{hub.address} answers 400" in failed.err
    folder = Path(failed.err.rpartition("the folder is ")[2].partition(", which `hf upload`")[0])
    assert (folder / "model.safetensors").read_bytes() == DIGITS
    with safe_open(folder / "model.safetensors", "pt") as file:
        assert file.metadata()
    failed = gan("export", "digits", "--push", "me/digits", "-o", "mine/")
    assert "the folder is mine" in failed.err
    assert Path("mine/model.safetensors").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--push", "digits"), "--push digits: must be OWNER/NAME"),
        (("--push", "me/digits@v1"), "--push me/digits@v1: must be OWNER/NAME"),
        (("--push", "me/digits", "-o", "x.onnx"), "-o x.onnx: --push uploads a folder"),
        (("--private", "-o", "x/"), "--private: only applies with --push"),
        (("--dry-run", "-o", "x/"), "--dry-run: only applies with --push"),
        (("--push", "me/digits", "--opset", "18"), "--opset 18: is for .onnx"),
    ],
)
def test_options_that_do_not_fit_a_push_are_refused(words: tuple[str, ...], message: str, hub: Hub, gan: Gan) -> None:
    done = gan("export", "digits", *words)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert message in done.err
    assert hub.requests == []
