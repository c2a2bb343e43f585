"""Which tensors of a network take those of another one."""

from collections.abc import Mapping

from torch import Tensor, nn

Pairs = dict[str, tuple[Tensor, Tensor]]
"""Name → the tensor of the network, or the part of it that is replaced, and the tensor to copy."""


def matching_tensors(network: nn.Module, stored: Mapping[str, Tensor], stored_channels: int, channels: int) -> Pairs:
    """Return the tensors of a network that match, in name and shape, those that are `stored`, of a network for images of
    `stored_channels` instead of `channels`.

    If those are colour images and these are grey, the convolutions next to the image match too: D treats grey images as it
    treated them in colour, and G makes the mean of the three channels, before its last function. The first convolution may
    have more inputs than the stored one, such as a label's after those of noise or of the image: the part of its weight for
    the others matches.
    """
    pairs: Pairs = {}
    is_first = True
    for name, tensor in network.state_dict().items():
        other = stored.get(name)
        if other is None:
            continue
        if tensor.shape != other.shape and tensor.dim() == other.dim():
            inputs = 0 if isinstance(network.get_submodule(name.rpartition(".")[0]), nn.ConvTranspose2d) else 1
            if (stored_channels, channels) == (3, 1):
                other = _to_grey(other, tensor, inputs)
            if is_first and tensor.dim() == 4 and channels in (1, stored_channels):
                tensor = tensor.narrow(inputs, 0, min(other.shape[inputs], tensor.shape[inputs]))
        is_first = is_first and tensor.dim() != 4
        if tensor.shape == other.shape:
            pairs[name] = tensor, other
    return pairs


def _to_grey(stored: Tensor, tensor: Tensor, inputs: int) -> Tensor:
    """Return a `stored` tensor, if it reads or makes three channels and `tensor` does not, for one channel. `inputs`: the
    dimension of the inputs of a weight."""
    if stored.dim() == 4 and stored.shape[inputs] == 3 != tensor.shape[inputs]:
        return stored.sum(inputs, keepdim=True)
    outputs = 1 - inputs if stored.dim() == 4 else 0
    if stored.dim() in (1, 4) and (stored.shape[outputs], tensor.shape[outputs]) == (3, 1):
        return stored.mean(outputs, keepdim=True)
    return stored
