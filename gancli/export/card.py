"""A model's card: the `README.md` of a folder that model hubs take, with its YAML front matter."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gancli import catalogue
from gancli.export import space
from gancli.export.front_matter import dataset_name, front_matter
from gancli.format import measure
from gancli.store.checkpoint import Model
from gancli.store.evaluations import Evaluation
from gancli.store.facts import command_from_facts
from gancli.store.run_directory import EXPORTED
from gancli.text import counted, printable

WEIGHTS, CONFIG, SAMPLES = EXPORTED, "config.json", "samples.png"


@dataclass(frozen=True)
class Card:
    """What a card is made of. `title`: what the model is called; `measured`: figures of these very weights,
    one measurement for each data set; `samples`: what the picture shows; `space`: whether the folder is a Space."""

    title: str
    model: Model
    license: str | None
    measured: Sequence[Evaluation]
    samples: str
    space: bool = False

    def text(self) -> str:
        """The whole file."""
        if self.space:
            head = space.front_matter(printable(self.title), self.model, self.license)
        else:
            head = front_matter(self.title, self.model, self.license, self.measured)
        parts = [f"---\n{head}---", f"# {_plain(self.title)}", self._what(), f"![samples]({SAMPLES})", self.samples]
        parts += [self._use(), self._training(), self._figures(), self._limits()]
        return "\n\n".join(part for part in parts if part) + "\n"

    @property
    def enlarges(self) -> bool:
        return self.model.variant.condition_type == "low_res"

    def _what(self) -> str:
        facts, card = self.model.facts, catalogue.variant_info(self.model.facts.variant)
        colours = "grey" if facts.images.channels == 1 else "colour"
        if self.enlarges:
            does = f"It enlarges {colours} pictures of any size {self.model.variant.scale} times."
        else:
            does = f"It draws {colours} pictures of {facts.images.size}×{facts.images.size} pixels."
        if self.model.variant.conditional:
            names = ", ".join(facts.images.class_names[:20]) + (", …" if len(facts.images.class_names) > 20 else "")
            does += f" Its {counted(len(facts.images.class_names), 'class')} can be asked for: {_plain(names)}."
        count = sum(parameter.numel() for parameter in self.model.variant.generator.parameters())
        title = card.title.rstrip(".")
        return f"{title} (`{facts.variant}`), {count:,} parameters. {does}\n\nPaper: {card.paper}"

    def _use(self) -> str:
        line = f"gan sample {WEIGHTS} -i photo.jpg" if self.enlarges else f"gan sample {WEIGHTS} -n 64 -o grid.png"
        call = "enlarge(image)" if self.enlarges else "sample(64)"
        return (
            f"## Use\n\nWith [gancli](https://github.com/gancli/gancli), in this folder:\n\n    {line}\n\n"
            f'or in Python `gancli.load("{WEIGHTS}").{call}`. `{WEIGHTS}` holds the weights of the averaged generator under '
            f"`generator.…`, in safetensors, with its description in the metadata; `{CONFIG}` says how it is built."
        )

    def _training(self) -> str:
        facts = self.model.facts
        held = facts.num_images - facts.held_out
        return (
            f"## Training\n\nOn {counted(held, 'picture', ',')} of {_plain(facts.dataset)}, step {facts.step:,} "
            f"of {facts.steps:,}, "
            f"batches of {facts.batch_size}, in {facts.precision}"
            f"{f', weights averaged with a decay of {facts.ema:g}' if facts.ema else ''}:\n\n    {command_from_facts(facts)}"
        )

    def _figures(self) -> str:
        if not self.measured:
            return "## Figures\n\nNone: it was not measured. `gan evaluate` does."
        tables = [_table(each) for each in self.measured]
        note = (
            "PSNR and SSIM are taken on luma, with a border of as many pixels as it enlarges left out."
            if self.enlarges
            else "Distances are taken on the features of a small classifier that `gan` trains on the data set: they compare "
            "models on one data set, and are not Inception FIDs."
        )
        return "\n\n".join(["## Figures", *tables, f"Measured by `gan evaluate`, ± one standard error. {note}"])

    def _limits(self) -> str:
        name = _plain(self.model.facts.dataset)
        if self.enlarges:
            return (
                "## Limits\n\nWhat it adds is likely detail, not what was there: nothing should be concluded from it about "
                f"what a picture shows. It learnt from {name}, reduced by antialiased bicubic interpolation; noise, "
                "sharpening and traces of JPEG are enlarged with the rest."
            )
        return (
            f"## Limits\n\nIts pictures are like those of {name} and nothing else, with what these lack or hold too much "
            "of. Some show nothing that can be recognised, and some may be near copies of training pictures. The figures "
            "compare models; they do not say what the pictures are good for."
        )


def _table(each: Evaluation) -> str:
    beside, real = str(each.get("beside", "real pictures")), each.get("real", {})
    split = f" ({each['split']})" if "split" in each else ""
    count = counted(each["n"], "picture", ",") if "n" in each else "pictures"
    seed = f" from seed {each['seed']}" if "seed" in each else ""
    date = f", {each['time'][:10]}" if "time" in each else ""
    head = f"| {count}{seed}, against {_plain(dataset_name(each))}{split}{date} | this model | {beside} |"
    rows = [
        f"| {name} | {measure(value, each.get('errors', {}).get(name))} | "
        f"{measure(real[name], each.get('real_errors', {}).get(name)) if name in real else '–'} |"
        for name, value in each["figures"].items()
    ]
    return "\n".join([head, "| --- | --- | --- |", *rows])


def _plain(text: str) -> str:
    """A name of somebody's in a line of Markdown."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", printable(text))
