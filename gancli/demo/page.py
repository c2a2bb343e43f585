"""The page of `gan demo`: its widgets, and which function of `actions` each one calls. Needs the extra demo (Gradio)."""

import html
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported

import gradio as gr

from gancli.demo import actions
from gancli.demo.actions import ALL_LABELS, MAX_NUMBER, MAX_SEED, NO_TRUNCATION, PageModel, Point, Settings
from gancli.errors import GancliError
from gancli.events import Event, Preparing

MAX_BUTTONS = 20  # classes; of more, a list is shown
SLIDER_SEEDS = 99_999
MIN_WIDTH = 280  # pixels of a model's column, under which columns are put below each other
CLEANED_S, KEPT_S = 600, 3600  # how often generated files are removed, and how old they are then
CSS = """
.gan-grid .image-container { padding-top: 2.25rem; } /* the label and the buttons lie over the image otherwise */
.gan-grid .image-container > button, .gan-grid .image-frame { width: 100%; height: auto; }
.gan-grid img { width: auto; height: auto; max-width: 100%; max-height: 65vh; margin: auto; }
.gan-pick img { cursor: pointer; }
.gan-line p { margin: 0 0 .25rem; overflow-wrap: anywhere; }
.gan-line p.gan-problem { color: #b91c1c; }
.dark .gan-line p.gan-problem { color: #fca5a5; }
"""


def settings() -> dict[str, Any]:
    """Return the arguments of Gradio's `launch` and `mount_gradio_app` that the page needs."""
    return {
        "theme": gr.themes.Default(primary_hue="indigo"),
        "css": CSS,
        "footer_links": ["gradio", "settings"],
        "run_history": False,
        "max_file_size": actions.MAX_UPLOAD,
        "enable_monitoring": False,
        "mcp_server": False,
        "pwa": False,
        "ssr_mode": False,
        "show_error": True,
    }


def build(models: Sequence[PageModel], stopped: threading.Event | None = None) -> gr.Blocks:
    """Return the page of models side by side. `stopped`: if it is set, enlarging ends after the current tile."""
    generating = [model for model in models if not model.enlarges]
    enlarging = [model for model in models if model.enlarges]
    title = ", ".join(model.name for model in models)
    page: gr.Blocks
    with gr.Blocks(
        title=f"{title} · gan demo", analytics_enabled=False, fill_width=True, delete_cache=(CLEANED_S, KEPT_S)
    ) as page:
        names = ((html.escape(model.name), html.escape(model.description())) for model in models)
        _line("".join(f"<p><b>{name}</b>: {what}</p>" for name, what in names))
        if generating and enlarging:
            with gr.Tabs():
                with gr.Tab("Generate"):
                    Generating(page, generating).build()
                with gr.Tab("Enlarge"):
                    _enlarging(enlarging, stopped)
        elif generating:
            Generating(page, generating).build()
        else:
            _enlarging(enlarging, stopped)
    return page


def _line(text: str = "") -> gr.HTML:
    """Add a line of HTML to the page."""
    return gr.HTML(text, elem_classes="gan-line", container=False)


class Generating:
    """The part of the page with models that generate images: three tabs below the widgets that all of them share."""

    def __init__(self, page: gr.Blocks, models: Sequence[PageModel]) -> None:
        self.page, self.models = page, models
        # Models that know the same classes share the buttons for them.
        self.class_lists = list(dict.fromkeys(names for model in models if (names := model.model.class_names)))
        self.shared: list[Any] = []
        self.inputs: list[Any] = []

    def build(self) -> None:
        self._shared()
        with gr.Tabs() as self.tabs:
            with gr.Tab("Images", id="images"):
                pick = self._images()
            with gr.Tab("Between", id="between"):
                self._between()
            with gr.Tab("Around", id="around"):
                self._around(pick)

    def _shared(self) -> None:
        """Add the widgets that apply to all tabs: labels, truncation, levels."""
        with gr.Row():
            for names in self.class_lists:
                choices = [("all, in turn", ALL_LABELS), *((name, index) for index, name in enumerate(names))]
                known = ", ".join(model.name for model in self.models if model.model.class_names == names)
                label = "label" if len(self.class_lists) == 1 else f"label ({known})"
                kind = gr.Radio if len(names) <= MAX_BUTTONS else gr.Dropdown
                self.shared.append(kind(choices, value=ALL_LABELS, label=label, scale=2))
            truncation = gr.Slider(
                0.05, NO_TRUNCATION, NO_TRUNCATION, step=0.05, buttons=[], min_width=MIN_WIDTH,
                label="truncation", info=f"less: more typical images, less variety; {NO_TRUNCATION:g}: none",
            )  # fmt: skip
            self.shared.append(truncation)
            if any(model.has_levels for model in self.models):
                self.shared.append(
                    gr.Checkbox(False, label="levels", info="coarse to fine, side by side", min_width=200)
                )

    def _settings(self, values: Sequence[Any]) -> list[Settings]:
        """Return the settings of each model's images, from the values of the shared widgets."""
        labels = dict(zip(self.class_lists, values, strict=False))
        truncation, *levels = values[len(self.class_lists) :]
        return [
            Settings(
                int(labels.get(model.model.class_names, ALL_LABELS)), float(truncation), bool(levels and levels[0])
            )
            for model in self.models
        ]

    def _each(self, draw: Callable[..., Any], values: Sequence[Any], *rest: Any) -> list[Any]:
        """Return what a function of `actions` returns for each model."""
        return [
            with_page_error(draw, model, settings, *rest)
            for model, settings in zip(self.models, self._settings(values), strict=True)
        ]

    def _pictures(self, what: str, pick: bool) -> list[gr.Image]:
        with gr.Row():
            return [
                gr.Image(
                    label=model.name, alt_text=f"{what} of {model.name}", format="png", type="pil", interactive=False,
                    min_width=MIN_WIDTH, buttons=["download", "fullscreen"],
                    elem_classes=["gan-grid", *(["gan-pick"] if pick else [])],
                )
                for model in self.models
            ]  # fmt: skip

    def _images(self) -> tuple[list[gr.Image], list[Any]]:
        with gr.Row():
            seed = gr.Slider(0, SLIDER_SEEDS, 0, step=1, label="seed", info="of the first image", buttons=[])
            number = gr.Slider(1, MAX_NUMBER, 16, step=1, label="number", info="of images", buttons=[])
        pictures = self._pictures("generated images", pick=True)
        _line("<p>Click an image to keep it and look around it.</p>")
        lines = gr.Textbox(label="the same images from a command line", buttons=["copy"], lines=len(self.models))
        inputs = [seed, number, *self.shared]

        def draw(seed: float, number: float, *shared: Any) -> list[Any]:
            rest = (int(seed), int(number))
            commands = self._each(actions.command, shared, *rest)
            return [*self._each(actions.grid, shared, *rest), "\n".join(commands)]

        self._redraw(draw, inputs, [*pictures, lines], "images")
        return pictures, inputs

    def _between(self) -> None:
        with gr.Row():
            first = gr.Number(0, label="first seed", precision=0, minimum=0, maximum=MAX_SEED, min_width=120)
            second = gr.Number(1, label="second seed", precision=0, minimum=0, maximum=MAX_SEED, min_width=120)
            share = gr.Slider(
                0, 1, 0.5, step=0.01, label="position", info="0: first seed, 1: second seed", buttons=[], scale=2,
                min_width=MIN_WIDTH,
            )  # fmt: skip
        pictures = self._pictures("first seed, between, second seed", pick=False)

        def draw(first: float | None, second: float | None, share: float, *shared: Any) -> dict[Any, Any]:
            found = self._each(actions.between, shared, int(first or 0), int(second or 0), float(share))
            return dict(zip(pictures, found, strict=True))

        self._redraw(draw, [first, second, share, *self.shared], pictures, "between")

    def _around(self, pick: tuple[list[gr.Image], list[Any]]) -> None:
        kept, directions = gr.State(Point(0)), gr.State(0)
        with gr.Row():
            distance = gr.Slider(
                0, 1, 0.3, step=0.01, label="distance", info="of the neighbours from the first image", buttons=[],
                min_width=MIN_WIDTH, scale=2,
            )  # fmt: skip
            other = gr.Button("Other neighbours", min_width=120, size="md")
        pictures = self._pictures("the image that was kept, and its neighbours", pick=True)
        about = _line()
        inputs = [kept, distance, directions, *self.shared]
        outputs = [*pictures, about]

        def draw(kept: Point, distance: float, directions: int, *shared: Any) -> list[Any]:
            moves = f", moved {len(kept.moves)} times" if len(kept.moves) > 1 else ", moved" if kept.moves else ""
            text = f"<p>First image: seed {kept.seed}{moves}. Click a neighbour to move there.</p>"
            return [*self._each(actions.around, shared, kept, float(distance), directions), text]

        def turned(kept: Point, distance: float, directions: int, *shared: Any) -> list[Any]:
            return [directions + 1, *draw(kept, distance, directions + 1, *shared)]

        def picked(model: int, values: Sequence[Any], event: gr.SelectData) -> Any:
            """Keep an image of the grid, and show the tab with its neighbours."""
            seed, number, *shared = values[:-1]
            shown, settings = self.models[model], self._settings(shared)[model]
            return with_page_error(actions.at, shown, settings, int(seed), int(number), event.index) or values[-1]

        def moved(model: int, values: Sequence[Any], event: gr.SelectData) -> Any:
            """Move to a neighbour."""
            now, distance, directions, *shared = values
            shown, settings = self.models[model], self._settings(shared)[model]
            return (
                with_page_error(actions.at_around, shown, settings, now, float(distance), directions, event.index)
                or now
            )

        self._redraw(draw, inputs, outputs, "around")
        other.click(
            turned, inputs, [directions, *outputs], queue=False, show_progress="hidden", api_visibility="private"
        )
        hidden: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        for index, picture in enumerate(pick[0]):
            keep = picture.select(_with_event(picked, index), [*pick[1], kept], kept, **hidden)
            keep.then(lambda: gr.Tabs(selected="around"), None, self.tabs, **hidden).then(
                draw, inputs, outputs, **hidden
            )
        for index, picture in enumerate(pictures):
            move = picture.select(_with_event(moved, index), inputs, kept, **hidden)
            move.then(draw, inputs, outputs, **hidden)

    def _redraw(self, draw: Callable[..., Any], inputs: list[Any], outputs: list[Any], name: str) -> None:
        """Call `draw` when the page opens and when a widget changes; while it draws, only the last change counts."""
        triggers = [self.page.load]
        triggers += [w.change if isinstance(w, gr.Number) else w.input for w in inputs if hasattr(w, "input")]
        gr.on(
            triggers, draw, inputs, outputs, queue=False, show_progress="hidden", trigger_mode="always_last", api_name=name
        )  # fmt: skip


def _with_event(function: Callable[..., Any], index: int) -> Callable[..., Any]:
    """Return a listener that Gradio gives the values of its inputs and the event, which it finds by its annotation."""

    def listener(event: gr.SelectData, *values: Any) -> Any:
        return function(index, values, event)

    return listener


def with_page_error(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function whose errors the page shows as one line."""
    try:
        return function(*args)
    except GancliError as error:
        raise gr.Error(html.escape(str(error)), duration=None, print_exception=False) from None


def _enlarging(models: Sequence[PageModel], stopped: threading.Event | None) -> None:
    """Add the part of the page with models that enlarge images."""
    file = gr.File(label="image", type="filepath", height=140)
    about = _line("<p>Drop a photograph. Small ones, such as 200×200 pixels, take seconds.</p>")
    with gr.Row():
        results = [
            gr.ImageSlider(
                label=f"left: bicubic, right: {model.name}", type="pil", format="png", interactive=False, max_height=600,
                min_width=MIN_WIDTH, buttons=["download", "fullscreen"],
            )
            for model in models
        ]  # fmt: skip

    def draw(path: str | None, progress: gr.Progress = gr.Progress()) -> list[Any]:  # noqa: B008 - Gradio's way
        if path is None:
            return [*(None for _ in models), ""]

        def emit(event: Event) -> None:
            if stopped is not None and stopped.is_set():
                raise GancliError("the demo was stopped")
            if isinstance(event, Preparing):
                progress((event.done, event.total or None), desc=event.what)

        try:
            found = [actions.enlarge(model, Path(path), emit) for model in models]
        except GancliError as error:
            return [*(None for _ in models), f'<p role="alert" class="gan-problem">{html.escape(str(error))}</p>']
        notes = dict.fromkeys(one.note for one in found)
        return [*((one.bicubic, one.model) for one in found), "".join(f"<p>{html.escape(note)}</p>" for note in notes)]

    file.change(
        draw, file, [*results, about], api_name="enlarge", concurrency_limit=1, concurrency_id="enlarge",
        trigger_mode="always_last", show_progress_on=results,
    )  # fmt: skip
