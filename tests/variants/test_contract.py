"""What every variant promises, those there are and those to come."""

import dataclasses

import pytest
import torch
from torch import Tensor

from gancli import catalogue
from gancli.config import fields_of
from gancli.config.resolve import known_fields
from gancli.machine.device import Machine, Precision
from gancli.spec import Batch, ImageSpec
from gancli.steps.training_step import TrainingStep
from gancli.variant import Phase, Variant

IMAGES = ImageSpec(1, 8, tuple("0123456789"))
ALL = sorted({*catalogue.names(), "three_pairs", "two_phases", "wgan_gp"})

pytestmark = [pytest.mark.usefixtures("toys"), pytest.mark.parametrize("name", ALL)]


def built(name: str, images: ImageSpec = IMAGES) -> Variant:
    torch.manual_seed(0)
    return catalogue.load(name)(catalogue.variant_info(name).config_class(), images)


def batch_for(variant: Variant, count: int = 4) -> Batch:
    """A random batch of what the variant reads."""
    channels, size = variant.images.channels, variant.images.size
    images = torch.rand(count, channels, size, size) * 2 - 1
    if variant.condition_type == "low_res":
        return Batch(images, torch.rand(count, channels, size // variant.scale, size // variant.scale) * 2 - 1)
    return Batch(images, torch.arange(count) % max(1, variant.images.num_classes))


def weights(variant: Variant) -> dict[str, Tensor]:
    return {
        f"{net}.{name}": p.detach().clone()
        for net, module in variant.networks.items()
        for name, p in module.named_parameters()
    }


def each_phase(variant: Variant) -> tuple[Phase, ...]:
    phases = variant.phases(20)
    assert sum(phase.steps for phase in phases) == 20
    return phases


def test_a_variant_has_a_page_and_presets_of_options_with_possible_values(name: str) -> None:
    card = catalogue.variant_info(name)
    assert card.title
    assert card.paper
    fields = known_fields(card.config_class)
    for values in card.presets.values():
        for key, value in values.items():
            checked = fields[key].check(value)
            assert (type(checked), checked) == (type(value), value), key


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_steps_train_the_networks_they_name_and_no_other_and_report_the_same_finite_terms(
    name: str, precision: Precision
) -> None:
    variant = built(name)
    for phase in each_phase(variant):
        stepper = TrainingStep(phase, variant.networks, Machine(torch.device("cpu"), precision, 1))
        before = weights(variant)
        reported = [stepper.run(batch_for(variant)) for _ in range(3)]
        after = weights(variant)
        changed = {key.partition(".")[0] for key in before if not torch.equal(before[key], after[key])}
        assert changed == set(phase.optimizers)
        assert len({tuple(terms) for terms in reported}) == 1, "every step of a phase reports the same terms"
        for term in (term for terms in reported for term in terms.values()):
            assert term.shape == ()
            assert not term.requires_grad
            assert torch.isfinite(term)


def test_the_generators_update_leaves_the_discriminators_gradients_alone(name: str) -> None:
    variant = built(name)
    for phase in each_phase(variant):
        stepper = TrainingStep(phase, variant.networks, Machine(torch.device("cpu"), "fp32", 1))
        updates = phase.step(batch_for(variant))
        while (update := stepper.next_update(updates)) is not None:
            others = {n: net for n, net in variant.networks.items() if n != update.trains}
            grads = {n: [p.grad for p in net.parameters()] for n, net in others.items()}
            stepper.optimizers[update.trains].minimise(update.loss)
            for other, net in others.items():
                assert all(a is b for a, b in zip(grads[other], (p.grad for p in net.parameters()), strict=True))


def test_pictures_have_the_data_sets_shape_and_range(name: str) -> None:
    for channels in (1, 3):
        variant = built(name, ImageSpec(channels, 8, tuple("0123456789")))
        variant.generator.eval()
        batch = batch_for(variant, 3)
        pictures = variant.generator(*variant.sample_inputs(batch.condition))
        assert pictures.shape == (3, channels, 8, 8)
        assert pictures.abs().max() <= 2  # LAPGAN's sums may leave [-1, 1]; images.to_uint8 clips them


def test_the_generator_can_be_built_without_memory_and_filled_from_a_file(name: str) -> None:
    with torch.device("meta"):
        empty = catalogue.load(name)(catalogue.variant_info(name).config_class(), IMAGES)
    full = built(name)
    empty.generator.load_state_dict(full.generator.state_dict(), assign=True)
    assert not any(t.is_meta for t in (*empty.generator.parameters(), *empty.generator.buffers()))


def test_every_preset_builds(name: str) -> None:
    card = catalogue.variant_info(name)
    known = {field.name for field in fields_of(card.config_class)}
    for values in card.presets.values():
        with torch.device("meta"):
            own = card.config_class(**{k: v for k, v in values.items() if k in known})
            catalogue.load(name)(own, dataclasses.replace(IMAGES, size=16))
