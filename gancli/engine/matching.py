"""Which tensors of a network take those of another one."""

from collections.abc import Mapping

from torch import Tensor, nn

Pairs = dict[str, tuple[Tensor, Tensor]]
"""Name → the tensor of the network, or the part of it that is replaced, and the tensor to copy."""

INSIDE = "conditional."  # how the names of a network begin that is inside a `ClusterGenerator`


def matching_tensors(network: nn.Module, stored: Mapping[str, Tensor], stored_channels: int, channels: int) -> Pairs:
    """Return the tensors of a network that match, in name, shape and dtype, those that are `stored`, of a network for images
    of `stored_channels` instead of `channels`.

    Two kinds of convolution match in part. If the network has tensors that are not stored, such as those of labels, the
    first convolution may have more inputs, after those of noise or of the image: the part of its weight for the others
    matches. If the stored images are in colour and these are grey, D treats them as it treated grey images in colour, and G
    makes the mean of the three channels, before its last function.
    """
    state = network.state_dict()
    others = {name: stored.get(name, stored.get(name.removeprefix(INSIDE))) for name in state}
    convolutions = {
        name: 0 if isinstance(module, nn.ConvTranspose2d) else 1  # the dimension of the inputs in its weight
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
    }
    to_grey = (stored_channels, channels) == (3, 1)
    has_new = any(other is None for other in others.values())
    more_inputs = has_new and (to_grey or stored_channels == channels)
    first = next((f"{name}.weight" for name in convolutions), "") if more_inputs else ""
    pairs: Pairs = {}
    for name, other in others.items():
        tensor, inputs = state[name], convolutions.get(name.rpartition(".")[0])
        if other is None:
            continue
        if inputs is not None and to_grey:
            other = _to_grey(other, tensor, inputs)
        if inputs is not None and name == first and other.dim() == 4:
            tensor = tensor.narrow(inputs, 0, min(other.shape[inputs], tensor.shape[inputs]))
        if tensor.shape == other.shape and tensor.dtype == other.dtype:
            pairs[name] = tensor, other
    return pairs


def _to_grey(stored: Tensor, tensor: Tensor, inputs: int) -> Tensor:
    """Return the weight or bias of a convolution for three channels as one for one channel, if `tensor` is not for three.
    `inputs`: the dimension of the inputs of a weight."""
    is_weight = stored.dim() == tensor.dim() == 4
    if is_weight and stored.shape[inputs] == 3 != tensor.shape[inputs]:
        return stored.sum(inputs, keepdim=True)
    outputs = 1 - inputs if is_weight else 0
    if stored.dim() == tensor.dim() and (stored.shape[outputs], tensor.shape[outputs]) == (3, 1):
        return stored.mean(outputs, keepdim=True)
    return stored
