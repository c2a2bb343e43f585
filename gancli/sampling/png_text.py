"""The text in the PNG files of generated images: what is needed to generate them again. It contains no time and no path, so
that the same command writes the same bytes."""

from collections.abc import Sequence

from gancli.config.seeds import format_seeds
from gancli.sampling.generate import Request
from gancli.sampling.plan import SamplingPlan
from gancli.text import printable


def png_texts(plan: SamplingPlan, shown: Sequence[Request]) -> dict[str, str]:
    """Return the keywords and texts of a PNG with the images of the requests `shown`: `Software`, `model` (the name of a
    pretrained model, a run's directory or a file), `variant`, `sha256` of the weights as `gan inspect` prints it; `seed`, or
    `seeds` as `--seeds` takes them; for a conditional model `label` as `--label` takes it; `truncation` if it is used."""
    facts, config = plan.model.facts, plan.config
    seeds = [request.seed for request in shown]
    texts = {"Software": "gancli", "model": plan.model_name, "variant": facts.variant, "sha256": facts.sha256}
    texts["seed" if len(seeds) == 1 else "seeds"] = format_seeds(seeds)
    if plan.class_names:
        texts["label"] = _labels([request.label for request in shown[: len(plan.labels)]], plan.class_names)
    if config.truncation is not None:
        texts["truncation"] = str(config.truncation)
    return {keyword: _visible(text) for keyword, text in texts.items() if text}


def _labels(labels: Sequence[int], names: Sequence[str]) -> str:
    """Return the name of one class, or the names of several as `--label` takes them."""
    if len(labels) == 1:
        return names[labels[0]]
    return ",".join(names[label].replace(",", "\\,") for label in labels)


def _visible(text: str) -> str:
    """Return a text for a PNG; undecodable bytes and control characters as `gan inspect` shows them."""
    return "".join(c if c.isprintable() or (c.isspace() and c > "\x1f") else printable(c) for c in text)
