"""`--falling`: Adam's step sizes over a run."""

from typing import Any

import pytest

from gancli import catalogue
from gancli.data.spec import ImageSpec
from gancli.variant import Adam, falling
from tests.conftest import Gan

DIGITS = tuple("0123456789")
VARIANTS = [name for name in catalogue.names() if hasattr(catalogue.card(name).config_class, "falling")]


def test_the_step_size_falls_in_a_straight_line_over_the_share() -> None:
    whole, half, none = falling(1.0, 200), falling(0.5, 200), falling(0.0, 200)
    assert [whole(done) for done in (0, 50, 199)] == pytest.approx([1, 0.75, 0.005])
    assert [half(done) for done in (0, 100, 150, 199)] == pytest.approx([1, 1, 0.5, 0.01])
    assert {none(done) for done in range(200)} == {1.0}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_network_falls_to_nothing_at_the_end_of_the_run(variant: str) -> None:
    assert VARIANTS == ["cgan", "dcgan", "lapgan", "vanilla"]
    config_class: Any = catalogue.card(variant).config_class
    built: Any = catalogue.load(variant)(config_class(falling=0.5), ImageSpec(1, 8, DIGITS))
    (phase,) = built.phases(100)
    for name, rule in phase.optimizers.items():
        updates = 100 * (built.num_updates(int(name[1:])) if variant == "lapgan" else 1)
        assert isinstance(rule, Adam)
        shares = [rule.schedule(done) for done in (0, updates // 2, 3 * updates // 4, updates)]
        assert shares == pytest.approx([1, 1, 0.5, 0])


def test_a_longer_run_says_what_becomes_of_its_step_sizes(gan: Gan) -> None:
    small = ("-d", "digits", "--image-size", 8, "--width", 8, "--inner-width", 8, "--device", "cpu")
    assert gan("train", *small, "--falling", 1, "--steps", 20, "--out", "run").code == 0
    longer = gan("train", "--resume", "run", "--steps", 40)
    assert longer.code == 0, longer.err
    assert "at step 20 G's goes from 0 to 0.0005, D's goes from 0 to 0.0005" in longer.err
