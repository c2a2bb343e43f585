"""Choose the model whose weights a run starts from."""

from gancli.config import RunConfig
from gancli.config.run import RANDOM_WEIGHTS
from gancli.store import pretrained
from gancli.store.checkpoint import GENERATOR
from gancli.store.facts import Facts
from gancli.store.header import read_header
from gancli.variant import Variant


def choose_start(run: RunConfig, variant: Variant, saved: Facts | None) -> str:
    """Return the model to start from: `--init-from`, else that of the `saved` state, else the pretrained one for such images
    if it has all weights of G; else `RANDOM_WEIGHTS`."""
    if run.init_from is not None:
        return run.init_from
    if saved is not None:
        return saved.init_from or RANDOM_WEIGHTS
    name = pretrained.start_for(run.variant, run.preset, run.dataset, variant.images)
    return name if name is not None and _has_generator(name, variant) else RANDOM_WEIGHTS


def _has_generator(name: str, variant: Variant) -> bool:
    """Return whether each tensor of the variant's generator is in the file of a pretrained model, in the same shape."""
    stored = read_header(pretrained.pretrained_file(name)).tensors
    shapes = {GENERATOR + key: tuple(tensor.shape) for key, tensor in variant.generator.state_dict().items()}
    return all(key in stored and stored[key].shape == shape for key, shape in shapes.items())
