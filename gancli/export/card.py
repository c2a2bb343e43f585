"""A model's card: the `README.md` of a folder for a model hub, with its YAML front matter."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from gancli import catalogue
from gancli.data.names import dataset_names
from gancli.export import space
from gancli.files.hub import is_reference, parse
from gancli.format import measure
from gancli.store.checkpoint import Model
from gancli.store.evaluations import Evaluation, describe
from gancli.store.facts import command_from_facts
from gancli.store.run_directory import EXPORTED
from gancli.text import counted, printable

WEIGHTS, CONFIG, SAMPLES = EXPORTED, "config.json", "samples.png"
HUB_DATASETS = {  # names on the Hugging Face Hub
    "mnist": "ylecun/mnist", "fashion-mnist": "zalando-datasets/fashion_mnist", "cifar10": "uoft-cs/cifar10",
    "cifar100": "uoft-cs/cifar100", "svhn": "ufldl-stanford/svhn",
}  # fmt: skip


@dataclass(frozen=True)
class Card:
    """The contents of a card. `evaluations`: those of exactly these weights, one per dataset; `samples`: what the image of
    samples shows; `space`: whether the folder is a Hugging Face Space."""

    title: str
    model: Model
    license: str | None
    evaluations: Sequence[Evaluation]
    samples: str
    space: bool = False

    def text(self) -> str:
        """Return the whole file."""
        head = self._front_matter()
        if self.space:
            head = space.front_matter(printable(self.title), self.model, self.license)
        parts = [f"---\n{head}---", f"# {_escaped(self.title)}", self._description()]
        parts += [f"![samples]({SAMPLES})", self.samples, self._usage(), self._training(), self._metrics()]
        return "\n\n".join([*parts, self._limits()]) + "\n"

    @property
    def _enlarges(self) -> bool:
        return self.model.variant.condition_type == "low_res"

    def _front_matter(self) -> str:
        """Return the lines between the dashes, as the Hugging Face Hub reads them. Values are JSON, which is valid YAML."""
        facts = self.model.facts
        task = "image-to-image" if self._enlarges else "unconditional-image-generation"
        kind = ["super-resolution"] if self._enlarges else ["conditional"] if self.model.variant.conditional else []
        lines: list[tuple[str, Any]] = [("license", self.license)] if self.license else []
        lines += [("library_name", "gancli"), ("pipeline_tag", task)]
        lines += [("tags", ["gan", facts.variant, *kind, "pytorch"])]
        if (repository := _repository(facts.dataset)) is not None:
            lines.append(("datasets", [repository]))
        if self.evaluations:
            types = dict.fromkeys(_metric_type(name) for each in self.evaluations for name in each["figures"])
            results = [_result(task, each) for each in self.evaluations]
            lines += [("metrics", list(types))]
            lines += [("model-index", [{"name": printable(self.title), "results": results}])]
        return "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in lines)

    def _description(self) -> str:
        facts, info = self.model.facts, catalogue.variant_info(self.model.facts.variant)
        colours = "grey" if facts.images.channels == 1 else "colour"
        if self._enlarges:
            does = f"It enlarges {colours} images of any size {self.model.variant.scale} times."
        else:
            does = f"It generates {colours} images of {facts.images.size}×{facts.images.size} pixels."
        if self.model.variant.conditional:
            names = facts.images.class_names
            shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
            does += f" You can choose among {counted(len(names), 'class')}: {_escaped(shown)}."
        count = sum(parameter.numel() for parameter in self.model.variant.generator.parameters())
        return f"{info.title.rstrip('.')} (`{facts.variant}`), {count:,} parameters. {does}\n\nPaper: {info.paper}"

    def _usage(self) -> str:
        line = f"gan sample {WEIGHTS} -i photo.jpg" if self._enlarges else f"gan sample {WEIGHTS} -n 64 -o grid.png"
        call = "enlarge(image)" if self._enlarges else "sample(64)"
        file, code = self._code()
        flag, argument = (f" -v ./{file}", f', variant="{file}"') if file else ("", "")
        return (
            f"## Usage\n\n{code}With [gancli](https://github.com/gancli/gancli), in this folder:\n\n    {line}{flag}\n\n"
            f'or in Python `gancli.load("{WEIGHTS}"{argument}).{call}`. `{WEIGHTS}` contains the weights of the averaged '
            f"generator, named `generator.…`, in safetensors, with metadata; `{CONFIG}` describes its architecture."
        )

    def _code(self) -> tuple[str, str]:
        """Return the file of a variant (`""` for a variant that is not in a file), and a paragraph that says where its code
        is; both are empty for gan's own."""
        name = self.model.facts.variant
        origin = catalogue.origin_of(name)
        if origin.kind == "gan":
            return "", ""
        if origin.kind == "package":
            return "", f"First install `{origin}`, which contains the code of `{name}`.\n\n"
        file = origin.path.name if origin.path else ""
        what = f"the file `{file}`" if file else "a class, to be given to `gancli.load` as `variant`"
        return file, f"The code of `{name}` is not in this folder. It is {what}.\n\n"

    def _training(self) -> str:
        facts = self.model.facts
        images = counted(facts.num_images - facts.held_out, "image", ",")
        average = f", weights averaged with a decay of {facts.ema:g}" if facts.ema else ""
        return (
            f"## Training\n\nOn {images} of {_escaped(facts.dataset)}, step {facts.step:,} of {facts.steps:,}, "
            f"batches of {facts.batch_size}, in {facts.precision}{average}:\n\n    {command_from_facts(facts)}"
        )

    def _metrics(self) -> str:
        if not self.evaluations:
            return "## Metrics\n\nThe model has not been evaluated (`gan evaluate` measures it)."
        note = (
            "PSNR and SSIM are computed on luma, without a border of as many pixels as the scale."
            if self._enlarges
            else "Distances are computed on the features of a small classifier that `gan` trains on the dataset: they "
            "compare models on one dataset, and are not Inception FIDs."
        )
        tables = map(_table, self.evaluations)
        return "\n\n".join(["## Metrics", *tables, f"Measured by `gan evaluate`, ± one standard error. {note}"])

    def _limits(self) -> str:
        name = _escaped(self.model.facts.dataset)
        if self._enlarges:
            return (
                "## Limits\n\nThe added detail is plausible, not real: do not draw conclusions from it about what an image "
                f"shows. The model was trained on {name}, reduced by antialiased bicubic interpolation; noise, sharpening "
                "and JPEG artefacts are enlarged with the rest."
            )
        return (
            f"## Limits\n\nThe images resemble those of {name}, including their gaps and biases. Some may show nothing "
            "recognisable, and some may be near copies of training images. The metrics compare models; they do not say "
            "whether the images suit your purpose."
        )


def _table(each: Evaluation) -> str:
    """Return the metrics of one evaluation as a table in Markdown."""
    real, errors, real_errors = each.get("real", {}), each.get("errors", {}), each.get("real_errors", {})
    title = _escaped(describe({**each, "evaluated_on": _dataset_name(each)}))
    rows = [[title, "this model", _escaped(str(each.get("beside", "real images")))], ["---"] * 3]
    for name, value in each["figures"].items():
        reference = measure(real[name], real_errors.get(name)) if name in real else "–"
        rows.append([_escaped(name), measure(value, errors.get(name)), reference])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _result(task: str, each: Evaluation) -> dict[str, object]:
    """Return one evaluation as an entry of a `model-index`."""
    name = _dataset_name(each)
    split = {"split": each["split"]} if "split" in each else {}
    metrics = [
        {"type": _metric_type(metric), "name": f"{metric} (gan evaluate)", "value": value}
        for metric, value in each["figures"].items()
    ]
    dataset = {"name": name, "type": _repository(name) or name, **split}
    return {"task": {"type": task}, "dataset": dataset, "metrics": metrics}


def _metric_type(metric: str) -> str:
    return metric.replace(" ", "_").replace("-", "_")


def _dataset_name(each: Evaluation) -> str:
    """Return the dataset of an evaluation: of a path the last part, as the rest belongs to this machine."""
    dataset = str(each.get("evaluated_on", "unknown"))
    return printable(
        dataset if dataset in dataset_names() or is_reference(dataset) else PurePath(dataset).name or dataset
    )


def _repository(dataset: str) -> str | None:
    """Return the repository of a dataset on the Hugging Face Hub."""
    return parse(dataset, "--dataset").repo if is_reference(dataset) else HUB_DATASETS.get(dataset)


def _escaped(text: str) -> str:
    """Return a text for one line of Markdown."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", printable(text))
