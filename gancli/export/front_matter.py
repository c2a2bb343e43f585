"""The YAML that a model's card begins with, as the Hugging Face Hub reads it. Each value is in JSON, which is YAML too."""

import json
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from gancli.data.names import source_names
from gancli.files.hub import is_reference, parse
from gancli.store.checkpoint import Model
from gancli.store.evaluations import Evaluation
from gancli.text import printable

HUB = {  # what data sets are called on the Hugging Face Hub
    "mnist": "ylecun/mnist", "fashion-mnist": "zalando-datasets/fashion_mnist", "cifar10": "uoft-cs/cifar10",
    "cifar100": "uoft-cs/cifar100", "svhn": "ufldl-stanford/svhn",
}  # fmt: skip


def front_matter(title: str, model: Model, license_: str | None, measured: Sequence[Evaluation]) -> str:
    """The lines between the dashes. `measured`: figures of these very weights."""
    facts, enlarges = model.facts, model.variant.condition_type == "low_res"
    task = "image-to-image" if enlarges else "unconditional-image-generation"
    kind = ["super-resolution"] if enlarges else ["conditional"] if model.variant.conditional else []
    lines: list[tuple[str, Any]] = [("license", license_)] if license_ else []
    lines += [("library_name", "gancli"), ("pipeline_tag", task), ("tags", ["gan", facts.variant, *kind, "pytorch"])]
    if (repository := _repository(facts.dataset)) is not None:
        lines.append(("datasets", [repository]))
    if measured:
        kinds = dict.fromkeys(_type(name) for each in measured for name in each["figures"])
        results = [_result(task, each) for each in measured]
        lines += [("metrics", list(kinds)), ("model-index", [{"name": printable(title), "results": results}])]
    return "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in lines)


def _result(task: str, each: Evaluation) -> dict[str, object]:
    """One measurement as a `model-index` has it."""
    name = dataset_name(each)
    split = {"split": each["split"]} if "split" in each else {}
    metrics = [
        {"type": _type(figure), "name": f"{figure} (gan evaluate)", "value": value}
        for figure, value in each["figures"].items()
    ]
    data = {"name": name, "type": _repository(name) or name, **split}
    return {"task": {"type": task}, "dataset": data, "metrics": metrics}


def _type(figure: str) -> str:
    return figure.replace(" ", "_").replace("-", "_")


def dataset_name(each: Evaluation) -> str:
    """The data set that was measured with: of a path its last part, the rest being of this machine."""
    told = str(each.get("evaluated_on", "unknown"))
    return printable(told if told in source_names() or is_reference(told) else PurePath(told).name or told)


def _repository(dataset: str) -> str | None:
    """The repository of a dataset on the hub."""
    return parse(dataset, "--dataset").repo if is_reference(dataset) else HUB.get(dataset)
