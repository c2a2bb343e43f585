"""Faults in the code of a variant from outside: one line that names the file and line of that code."""

import re
from pathlib import Path

import pytest

from gancli.machine import device as machine
from tests.conftest import Gan, gan_process
from tests.variants.outside import MYGAN, RUN

STEP = "        real = batch.images\n"
LOSS = 'yield Update("D", loss, {"d_loss": loss})'
SECOND = "\n\nclass Another(MyGAN):\n    pass\n"
CASES = {
    "syntax": ("class MyGAN(Variant):", "class MyGAN(Variant:", r":\d+: cannot be imported: "),
    "import": ("import torch\n", "import torch\n1 / 0\n", "cannot be imported: ZeroDivisionError: division by zero"),
    "missing module": ("import torch\n", "import torch\nimport nothing_at_all\n", "ModuleNotFoundError: No module named"),
    "exit": ("import torch\n", "import torch\nraise SystemExit(3)\n", "cannot be imported: SystemExit: 3"),
    "no config": ("class Config(VariantConfig)", "class Options(VariantConfig)", "has no Config"),
    "bare config": ("@dataclass(frozen=True, kw_only=True)\n", "", "must be decorated with @dataclass"),
    "other config": ("class Config(VariantConfig)", "class Config", "must derive from gancli.config.VariantConfig"),
    "option of the run": ("    hidden: int", "    seed: int = option(1, 'x')\n    hidden: int", "seed is an option of gan"),
    "bad option": ("    hidden: int", "    pair: complex = option(1, 'x')\n    hidden: int", "pair"),
    "bad preset": ('"wide": {"hidden"', '"wide": {"hiden"', "hiden is no option (did you mean hidden?)"),
    "bad default": ("option(8, ", "option(0, ", "the default of --hidden 0: must be at least 1"),
    "no variant": ("class MyGAN(Variant)", "class MyGAN(nn.Module)", "defines no Variant"),
    "two variants": ("    def optimizers", "    def optimizers", "defines 2 Variants, MyGAN (mygan.py:"),
    "contract": ("    convolutional = False", "    contract = 99", "states contract 99, and this gan has contract 1"),
    "abstract": ("    def optimizers", "    def optimisers", "MyGAN does not define optimizers"),
    "no networks": ('        self.networks = {"G": self.generator, "D": self.D}\n', "", "does not set self.networks"),
    "foreign weights": ('{"G": self.generator, ', "{", "self.generator has weights that are in none of self.networks"),
    "latents": ("((6,),)", "(6,)", "self.latent_shapes must be a tuple of shapes"),
    "init": ("        values = images", "        1 / 0\n        values = images", "ZeroDivisionError: division by zero"),
    "step": (STEP, f"{STEP}        real.nothing()\n", "AttributeError: 'Tensor' object has no attribute 'nothing'"),
    "shape": ("nn.Unflatten(1, shape)", "nn.Identity()", "the generator returns [2, 64], not images [B, 1, 8, 8]"),
    "no scalar": (LOSS, LOSS.replace("D\", loss", "D\", fake_logits"), "its loss is a tensor [16, 1], not a scalar"),
    "no graph": (LOSS, LOSS.replace("D\", loss", "D\", loss.detach()"), "its loss does not depend on weights"),
    "no tensor": (LOSS, LOSS.replace("D\", loss", "D\", 0.5"), "its loss is float, not a scalar"),
    "wrong loss": ('yield Update("G", g_loss', 'yield Update("G", loss', "does not depend on the weights of G"),
    "no update": (LOSS, 'yield (loss,)', "step yields a tuple, not an Update"),
    "no term": (LOSS, 'yield Update("D", loss, {"d_loss": 1.0})', "its term 'd_loss' is float, not a scalar tensor"),
    "unknown network": (LOSS, LOSS.replace('"D"', '"E"'), "Update('E'): no network of this phase's optimizers (G, D)"),
    "idle network": (LOSS, "", "the step yields no Update of D, so that it would never be trained"),
    "idle optimizer": ("for name in self.networks", "for name in ['G']", "has none for D, so that it would never be"),
    "no generator": (LOSS, "return None", ""),
    "changing term": (
        LOSS,
        'self.n = getattr(self, "n", 0) + 1\n        ' + LOSS.replace('"d_loss"', 'f"loss{self.n}"'),
        "a step reports the terms loss2, g_loss, and the one before loss1, g_loss",
    ),
    "freed graph": ("self.D(fake.detach())", "self.D(fake)", "in the update of G: RuntimeError: "),
    "working directory": ("import torch\n", "import os\nimport torch\nos.chdir('/')\n", "the working directory to /"),
    "default dtype": (
        "import torch\n",
        "import torch\ntorch.set_default_dtype(torch.float64)\n",
        "changes torch's default dtype to torch.float64",
    ),
    "default device": ("import torch\n", "import torch\ntorch.set_default_device('meta')\n", "default device to meta"),
    "thread": (
        "import torch\n",
        "import torch\nimport threading, time\nthreading.Thread(target=lambda: time.sleep(0.3)).start()\n",
        "starts a thread when it is imported",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_fault_is_one_line_with_the_place_of_their_code(gan: Gan, case: str) -> None:
    before, after, message = CASES[case]
    assert before in MYGAN
    text = MYGAN.replace(before, after, 1) + (SECOND if case == "two variants" else "")
    if case == "no generator":
        text = re.sub(r"yield Update\(.*\)", "pass", text)
        message = "step must be a generator"
    if case == "freed graph":
        text = text.replace("-self.D(fake)", "-fake_logits")
    if case == "no config":
        text = text.replace(": Config,", ": VariantConfig,")
    Path("mygan.py").write_text(text)
    done = gan("train", "-v", "mygan.py", *RUN, "--out", "run")
    assert done.code in (1, 2), done.err
    lines = [line for line in done.err.splitlines() if line.startswith("gan: ")]
    assert len(lines) == 1, done.err
    assert "Traceback" not in done.err
    assert message in lines[0] or re.search(message, lines[0]), lines[0]
    assert re.match(r"gan: (--graph: )?mygan\.py(:\d+)?: ", lines[0]), lines[0]
    if case in ("import", "step", "no scalar", "no update"):
        pairs = enumerate(zip(text.splitlines(), MYGAN.splitlines(), strict=False), 1)
        line = next(number for number, (changed, line) in pairs if changed != line)
        assert lines[0].startswith(f"gan: mygan.py:{line}: ")


def test_reading_a_value_in_a_captured_step_is_a_fault(gan: Gan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "WORTH_TRACING", 0)
    for number, how in enumerate(("loss.item()", "float(loss.detach())", "1 if loss > 0 else 0")):
        text = MYGAN.replace(f"        {LOSS}", f"        loss = loss * (1 + 0 * ({how}))\n        {LOSS}")
        Path("mygan.py").write_text(text)
        done = gan("train", "-v", "mygan.py", *RUN, "--steps", 20, "--out", f"run-{number}")
        line = text.splitlines().index(f"        loss = loss * (1 + 0 * ({how}))") + 1
        assert done.code == 1, done.err
        assert f"gan: mygan.py:{line}: reads the value of a tensor" in done.err
        assert gan("train", "-v", "mygan.py", *RUN, "--no-graph", "--out", f"plain-{number}").code == 0


def test_debugging_shows_the_traceback() -> None:
    Path("mygan.py").write_text(MYGAN.replace(STEP, f"{STEP}        real.nothing()\n"))
    done = gan_process("train", "-v", "mygan.py", *RUN, "--out", "run", GAN_DEBUG="1")
    assert done.returncode == 1
    assert b"real.nothing()" in done.stderr
    assert b"Traceback" in done.stderr
