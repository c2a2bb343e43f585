"""Choose the model whose weights a run starts from."""

from gancli.config import RunConfig
from gancli.config.run import RANDOM_WEIGHTS
from gancli.engine.matching import matching_tensors
from gancli.store import pretrained
from gancli.store.checkpoint import GENERATOR, build_on_meta, network_prefix
from gancli.store.facts import Facts, from_header
from gancli.store.header import read_header
from gancli.variant import Variant


def choose_start(run: RunConfig, variant: Variant, saved: Facts | None) -> str:
    """Return the model to start from: `--init-from`, else that of the `saved` state, else the pretrained one for such images
    if it has all weights of G or of D; else `RANDOM_WEIGHTS`."""
    if run.init_from is not None:
        return run.init_from
    if saved is not None:
        return saved.init_from or RANDOM_WEIGHTS
    name = pretrained.start_for(run.variant, run.preset, run.dataset, variant.images)
    return name if name is not None and _has_network(name, variant) else RANDOM_WEIGHTS


def _has_network(name: str, variant: Variant) -> bool:
    """Return whether all tensors of G, or of another network, in the file of a pretrained model match the variant's."""
    path = pretrained.pretrained_file(name)
    header = read_header(path)
    model = build_on_meta(from_header(path, header))
    channels = model.images.channels, variant.images.channels
    prefixes = {GENERATOR: (variant.generator, model.generator)}
    prefixes |= {network_prefix(name): (variant.networks[name], net) for name, net in model.networks.items()}
    for prefix, (network, other) in prefixes.items():
        stored = other.state_dict()
        in_file = any(key.startswith(prefix) for key in header.tensors)
        if in_file and len(matching_tensors(network, stored, *channels)) == len(stored):
            return True
    return False
