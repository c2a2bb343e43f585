"""Which tensors of a network take those of another one."""

from collections.abc import Mapping

from torch import Tensor, nn


def matching_tensors(network: nn.Module, stored: Mapping[str, tuple[int, ...]], more_inputs: bool) -> dict[str, Tensor]:
    """Return the tensors of a network that have the name and the shape of one that is `stored`. `more_inputs`: if the first
    convolution has more inputs than the stored one, such as a label's after those of noise or of the image, the part of
    its weight for the first ones matches."""
    found, first = dict[str, Tensor](), more_inputs
    for name, tensor in network.state_dict().items():
        shape = stored.get(name)
        if shape is None:
            continue
        if first and tensor.dim() == len(shape) == 4:
            first = False
            convolution = network.get_submodule(name.rpartition(".")[0])
            dimension = 0 if isinstance(convolution, nn.ConvTranspose2d) else 1
            tensor = tensor.narrow(dimension, 0, min(shape[dimension], tensor.shape[dimension]))
        if tuple(tensor.shape) == tuple(shape):
            found[name] = tensor
    return found
