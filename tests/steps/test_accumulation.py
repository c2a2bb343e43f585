"""`--accumulate`: the update of a batch so many times as large, up to rounding, in the memory of a part; refused where it is
not the same."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from gancli import catalogue
from gancli.errors import UsageError
from gancli.machine.device import Machine
from gancli.report.rows import read_metrics
from gancli.spec import Batch, ImageSpec
from gancli.steps.accumulation import is_exact, run_in_parts
from gancli.steps.training_step import TrainingStep
from gancli.variant import Update, Variant
from tests.conftest import SMALL, Gan, sha256
from tests.machine.together import together

FREE = ("--norm", "none")  # of batch norm
NUM_IMAGES = 96


@pytest.fixture
def _float64(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything in fp64, also what is converted to fp32."""
    monkeypatch.setattr(Tensor, "float", Tensor.double)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def built(name: str, **options: Any) -> Variant:
    torch.manual_seed(0)
    images = ImageSpec(1, 16 if name == "srgan" else 8, tuple("0123456789"))
    return catalogue.load(name)(catalogue.variant_info(name).config_class(**options), images)


def batch_for(variant: Variant, seed: int, count: int = NUM_IMAGES) -> Batch:
    rng, size = torch.Generator().manual_seed(seed), variant.images.size
    images = torch.rand(count, 1, size, size, generator=rng) * 2 - 1
    if variant.condition_type == "low_res":
        return Batch(images, torch.nn.functional.avg_pool2d(images, variant.scale))
    return Batch(images, torch.arange(count) % 10)


def in_parts(batch: Batch, count: int) -> list[Batch]:
    return [Batch(batch.images[i::count], batch.condition[i::count]) for i in range(count)]


def stepper(variant: Variant, phase: Any) -> TrainingStep:
    generators = [network for name, network in variant.networks.items() if name.startswith("G")]
    return TrainingStep(phase, variant.networks, Machine(torch.device("cpu"), "fp32", 1), generators)


def trained(variant: Variant, num_parts: int) -> dict[str, Tensor]:
    """Weights, buffers and terms after three steps in each phase; and the state of the random generator."""
    found: dict[str, Tensor] = {}
    for phase in variant.phases(20):
        step = stepper(variant, phase)
        for seed in range(3):
            terms = run_in_parts(step, in_parts(batch_for(variant, seed), num_parts))
        found |= {f"{phase.name}: {name}": term for name, term in terms.items()}
    for network, module in variant.networks.items():
        found |= {f"{network}.{name}": tensor for name, tensor in module.state_dict().items()}
    return found | {"random": torch.get_rng_state()}


CASES: Sequence[tuple[str, dict[str, Any]]] = (
    ("vanilla", {"norm": "none", "r1": 1.0, "r2": 0.5, "gp": 1.0}),
    ("vanilla", {"norm": "none", "dropout": 0.5, "input_dropout": 0.2, "d_steps": 2, "shift": 0.5, "d_lr": 0.01}),
    ("vanilla", {"norm": "none", "optimizer": "sgd", "loss": "relativistic", "discriminator": "maxout"}),
    ("cgan", {"norm": "none", "dropout": 0.5, "latent_width": 20}),
    ("lapgan", {"norm": "none", "width": 8, "coarse_updates": 2, "conditional": True, "d_norm": "spectral"}),
    ("srgan", {"norm": "none", "width": 8, "blocks": 1, "content": "mse", "d_norm": "spectral", "d_width": 4}),
)


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize(("name", "options"), CASES)
def test_the_parts_of_a_batch_update_as_the_batch_does(name: str, options: dict[str, Any]) -> None:
    """In fp64: weights, moments of spectral norms, terms and random numbers."""
    small = {"width": 16, "inner_width": 16} if name in ("vanilla", "cgan") else {}
    variant = built(name, **small, **options)
    parts = in_parts(batch_for(variant, 0), 2)
    for phase in variant.phases(20):
        assert is_exact(stepper(variant, phase), parts[0], variant.num_parts(variant.config, NUM_IMAGES))
    one, three = trained(built(name, **small, **options), 1), trained(built(name, **small, **options), 3)
    assert one.keys() == three.keys()
    assert {key for key in one if not torch.allclose(one[key], three[key], rtol=1e-9, atol=1e-9)} == set()


class Mixing(Variant):
    """A D that sees the spread of a batch (Karras et al. 2018, section 3)."""

    def __init__(self, config: Any, images: ImageSpec) -> None:
        super().__init__(config, images)
        self.generator, self.D = nn.Linear(4, 64), nn.Linear(65, 1)
        self.networks, self.latent_shapes = {"G": self.generator, "D": self.D}, ((4,),)

    def logits(self, images: Tensor) -> Tensor:
        spread = images.std(0).mean().expand(len(images), 1)
        logits: Tensor = self.D(torch.cat([images, spread], 1))
        return logits

    def step(self, batch: Batch) -> Iterator[Update]:
        fake = self.generator(*self.sample_latents(len(batch.images), batch.images.device))
        d_loss = (self.logits(fake.detach()) - self.logits(batch.images.flatten(1))).mean()
        yield Update("D", d_loss, {})
        yield Update("G", -self.logits(fake).mean(), {})

    def optimizers(self, steps: int) -> Any:
        return built("vanilla").optimizers(steps)


def test_a_loss_that_mixes_the_images_of_a_batch_is_noticed() -> None:
    torch.manual_seed(0)
    variant = Mixing(None, ImageSpec(1, 8))
    (phase,) = variant.phases(20)
    assert not is_exact(stepper(variant, phase), batch_for(variant, 0), 1)


def weights(run: str) -> dict[str, Tensor]:
    return safetensors.torch.load_file(Path(run, "ckpt.safetensors"))


def test_a_run_in_parts_is_the_run_of_the_whole_batch_and_resumes_to_the_byte(gan: Gan) -> None:
    args = ("train", *SMALL, *FREE, "--precision", "fp32", "--progress", "none", "--steps", 20)
    assert gan(*args, "--batch-size", 32, "--out", "one").code == 0
    parts = (*args, "--batch-size", 8, "--accumulate", 4, "--save-every", 10)
    assert gan(*parts, "--out", "four").code == 0
    for name, tensor in weights("one").items():
        assert (tensor - weights("four")[name]).abs().max() < 2e-4, name
    for row, other in zip(
        read_metrics(Path("one/metrics.jsonl")), read_metrics(Path("four/metrics.jsonl")), strict=True
    ):
        assert (row["step"], row["epoch"]) == (other["step"], other["epoch"])
        assert row["d_loss"] == pytest.approx(other["d_loss"], rel=1e-3)
    again = ("train", "--resume", "four/state/step-00000010.safetensors", "--out", "again")
    assert gan(*again).code == 0
    assert sha256(Path("four/ckpt.safetensors")) == sha256(Path("again/ckpt.safetensors"))
    assert "batch 32," in gan("inspect", "four").out
    refused = gan("train", "--resume", "four", "--steps", 30, "--accumulate", 2)
    assert refused.code == 2
    assert "--accumulate 2 (flag): the run to resume has 4" in refused.err


@pytest.mark.slow
def test_two_processes_in_parts_train_the_model_of_one(gan: Gan) -> None:
    args = ("train", *SMALL, *FREE, "--precision", "fp32", "--progress", "none", "--steps", 6, "--gp", 1)
    assert gan(*args, "--batch-size", 64, "--out", "one").code == 0
    code, _, err = together(*args, "--batch-size", 16, "--accumulate", 4, "--out", "two")
    assert code == 0, err
    for name, tensor in weights("one").items():
        assert (tensor - weights("two")[name]).abs().max() < 2e-4, name


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (("-v", "dcgan"), "--accumulate 2: the G of this dcgan has batch norm"),
        (("-v", "vanilla"), "--accumulate 2: the G of this vanilla has batch norm"),
        ((*FREE, "--graph"), "--graph: steps in the parts of --accumulate 2 are neither captured nor compiled"),
        ((*FREE, "--compile"), "--compile yes: steps in the parts of --accumulate 2"),
        ((*FREE, "--batch-size", 12, "--dropout", 0.5), "--batch-size 12: must be a multiple of 8 with --accumulate 2"),
        ((*FREE, "--batch-size", 15, "--d-steps", 2), "--batch-size 15: must be a multiple of 2 with --accumulate 2"),
    ],
)
def test_what_cannot_be_computed_in_parts_is_refused_in_one_line(gan: Gan, line: tuple[Any, ...], said: str) -> None:
    outcome = gan("train", *SMALL[:-2], *line, "--steps", 4, "--accumulate", 2, "--progress", "none", "--out", "run")
    assert outcome.code == 2
    assert outcome.err.startswith(f"gan: {said}")
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    "draw",
    [
        lambda n: torch.randn(n, 3),
        lambda n: torch.randn((n, 3)),
        lambda n: torch.rand(size=(n, 3), dtype=torch.float64),
        lambda n: torch.randint(10, (n,)),
        lambda n: torch.randint(2, 10, (n,)),
        lambda n: torch.randint(high=10, size=(n,)),
        lambda n: torch.randint(10, size=(n, 2), dtype=torch.int32),
        lambda n: torch.randn_like(torch.empty(n, 3)),
        lambda n: torch.rand_like(torch.empty(n, 3), dtype=torch.float64),
    ],
)
def test_each_way_to_draw_random_numbers_gives_a_part_of_those_of_the_whole_batch(draw: Callable[[int], Any]) -> None:
    torch.manual_seed(5)
    whole = draw(8)
    for number in (0, 1):
        torch.manual_seed(5)
        with Machine(torch.device("cpu"), "fp32", 1).ranks.part(number, 2).as_one_batch():
            assert torch.equal(draw(4), whole[number::2])


def test_batch_norm_in_a_function_is_refused() -> None:
    share = Machine(torch.device("cpu"), "fp32", 1).ranks.part(0, 2)
    with pytest.raises(UsageError, match="--accumulate: batch norm"), share.as_one_batch():
        torch.nn.functional.batch_norm(torch.zeros(4, 2), None, None, training=True)


def peak_bytes(count: int, num_parts: int) -> int:
    """The most bytes that a step of srgan's second phase holds at once, in addition to what was there before."""
    variant = built("srgan", norm="none", width=64, blocks=4, content="mse", d_width=16)
    step = stepper(variant, variant.phases(20)[-1])
    parts = in_parts(batch_for(variant, 0, count), num_parts)
    run_in_parts(step, parts)
    cpu = torch.profiler.ProfilerActivity.CPU
    with torch.profiler.profile(activities=[cpu], profile_memory=True) as profile:
        run_in_parts(step, parts)
    events: Any = profile.profiler
    found = [event for event in events.kineto_results.events() if event.name() == "[memory]"]
    most: int = max(itertools.accumulate(event.nbytes() for event in sorted(found, key=lambda event: event.start_ns())))
    return most


@pytest.mark.slow
def test_memory_is_that_of_a_part_however_many_there_are() -> None:
    four, eight, whole = peak_bytes(64, 4), peak_bytes(128, 8), peak_bytes(128, 1)
    assert eight - four < 2_000_000
    assert eight < 0.75 * whole
