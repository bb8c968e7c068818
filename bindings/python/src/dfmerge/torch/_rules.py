"""What autograd's nodes say about per-row gradients: one rule per operation.

A rule reads the tensors that a node of the recorded graph saved in the forward pass and the
gradient d at the node's output, and forms the per-row gradient of one of its inputs. The node is
where a parameter without rows meets data with rows. Rules cover what torch's layers record:

* matrix products: Linear, MultiheadAttention, Conv1D of GPT-2, ``x @ w`` with or without bias
* Embedding
* LayerNorm, GroupNorm, BatchNorm with running statistics (RMSNorm: products)
* convolutions of any dimension, stride, dilation, groups, transposed or not
* sums, differences, products and expansions that broadcast a parameter over rows: position
  embeddings, class tokens, layer scales, biases, hand-written norms
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ._layout import SECOND, Layout
from ._rows import Computed, Dense, OuterProducts, Rows, Scatter, widen


@dataclass(frozen=True)
class Input:
    """One input of a graph node: the place where a parameter enters, and that input's shape.

    `transposed`: the parameter is the transpose of this input, and `Rule.rows` returns the
    gradient of the parameter.
    """

    node: Any
    index: int
    shape: torch.Size
    output: torch.Size
    transposed: bool = False


Sizes = tuple[int, ...]
Maker = Callable[[Input, Tensor, Layout], Rows]


@dataclass(frozen=True)
class Rule:
    """`accepts` says whether the input can be handled; `rows` forms its gradients.

    `broadcasts`: the parameter must lack the rows' dimension for the rule to apply.
    `channels`: the output is [N, C, *], with the rows in N.
    """

    inputs: frozenset[int]
    rows: Maker
    broadcasts: bool = False
    channels: bool = False

    def accepts(self, place: Input, layout: Layout) -> bool:
        if place.index not in self.inputs or (self.channels and layout.outer == SECOND):
            return False
        return not self.broadcasts or layout.broadcast(place.shape, place.output) is not None


def _product(place: Input, d: Tensor, layout: Layout) -> Rows:
    """Gradients of the right factor in a matrix product, or of an added bias.

    addmm(bias, x, w) and mm(x, w): dw_b = x_b^T d_b.
    """
    bias_first = place.node.name() == "AddmmBackward0"
    if bias_first and place.index == 0:
        return Dense(_scaled(layout.reduce(d, place.shape), place.node._saved_beta))
    x = place.node._saved_mat1 if bias_first else place.node._saved_self
    right = layout.positions(_scaled(d, place.node._saved_alpha if bias_first else 1), 1)
    left = layout.positions(x, 1)
    if place.transposed:
        return OuterProducts(right, left, torch.Size(reversed(place.shape)), left_ends=True)
    return OuterProducts(left, right, place.shape, left_ends=False)


def _embedding(place: Input, d: Tensor, layout: Layout) -> Rows:
    indices: Tensor = place.node._saved_indices
    gradient = layout.positions(d, 1)
    index = layout.positions(indices.unsqueeze(-1), 1).squeeze(-1)
    padding = int(place.node._saved_padding_idx)
    if 0 <= padding < place.shape[0]:
        gradient = gradient.masked_fill((index == padding).unsqueeze(-1), 0)
    return Scatter(index, gradient, place.shape)


def _layer_norm(place: Input, d: Tensor, layout: Layout) -> Rows:
    if place.index == 1:
        node = place.node
        d = widen(d) * _centred(node._saved_input, node._saved_result1, node._saved_result2)
    return Dense(layout.reduce(d, place.shape))


def _group_norm(place: Input, d: Tensor, layout: Layout) -> Rows:
    node = place.node
    if place.index == 1:
        x: Tensor = node._saved_input
        groups = x.reshape(x.shape[0], int(node._saved_group), -1)
        mean, rstd = node._saved_result1.unsqueeze(-1), node._saved_result2.unsqueeze(-1)
        d = widen(d) * _centred(groups, mean, rstd).view(x.shape)
    return Dense(_per_channel(d, layout))


def _batch_norm(place: Input, d: Tensor, layout: Layout) -> Rows:
    node = place.node
    if place.index == 1:
        x: Tensor = node._saved_input
        shape = [1, -1] + [1] * (x.dim() - 2)
        mean = node._saved_running_mean.view(shape)
        rstd = (node._saved_running_var + node._saved_eps).rsqrt().view(shape)
        d = widen(d) * _centred(x, mean, rstd)
    return Dense(_per_channel(d, layout))


def _convolution(place: Input, d: Tensor, layout: Layout) -> Rows:
    node = place.node
    if place.index == 2:
        return Dense(_per_channel(d, layout))
    x, weight = node._saved_input, node._saved_weight
    groups, transposed = int(node._saved_groups), bool(node._saved_transposed)
    stride, padding = _sizes(node._saved_stride), _sizes(node._saved_padding)
    dilation = _sizes(node._saved_dilation)
    if d.dim() > 4 or transposed:

        def one(b: int) -> Tensor:
            gradients = torch.ops.aten.convolution_backward(
                dr[b], xr[b], widen(weight), None, stride, padding, dilation, transposed,
                _sizes(node._saved_output_padding), groups, [False, True, False],
            )  # fmt: skip
            return gradients[1]  # type: ignore[no-any-return]

        dr, xr = layout.split(widen(d)), layout.split(widen(x))
        return Computed(layout.rows, one)
    kernel: Sizes = tuple(weight.shape[2:])
    if d.dim() == 3:
        # One dimension is two dimensions of height 1.
        d, x, kernel = d.unsqueeze(2), x.unsqueeze(2), (1, *kernel)
        stride, padding, dilation = (1, *stride), (0, *padding), (1, *dilation)
    columns = functional.unfold(widen(x), kernel, dilation, padding, stride)
    left = layout.positions(d.flatten(2).transpose(1, 2), 1)
    right = layout.positions(columns.transpose(1, 2), 1)
    if groups == 1:
        return OuterProducts(left, right, weight.shape, left_ends=True)
    left = widen(left).reshape(*left.shape[:2], groups, -1)
    right = right.reshape(*right.shape[:2], groups, -1)
    theta = torch.einsum("brgo,brgk->bgok", left, right)
    return Dense(theta.reshape(layout.rows, *weight.shape))


def _multiply(place: Input, d: Tensor, layout: Layout) -> Rows:
    other: Tensor = place.node._saved_other if place.index == 0 else place.node._saved_self
    return Dense(layout.reduce(widen(d) * widen(other), place.shape))


def _add(place: Input, d: Tensor, layout: Layout) -> Rows:
    scale = place.node._saved_alpha if place.index == 1 else 1
    if place.index == 1 and place.node.name() == "SubBackward0":
        scale = -scale
    return Dense(_scaled(layout.reduce(d, place.shape), scale))


def _expand(place: Input, d: Tensor, layout: Layout) -> Rows:
    return Dense(layout.reduce(d, place.shape))


def _sizes(saved: Iterable[Any]) -> Sizes:
    return tuple(int(n) for n in saved)


def _scaled(t: Tensor, scale: float) -> Tensor:
    return t if scale == 1 else t * scale


def _centred(x: Tensor, mean: Tensor, rstd: Tensor) -> Tensor:
    return (widen(x) - mean) * rstd


def _per_channel(d: Tensor, layout: Layout) -> Tensor:
    """Sum d [N, C, *] over positions within each row: [B, C]."""
    return layout.positions(widen(d).flatten(2).sum(2) if d.dim() > 2 else widen(d), 1).sum(1)


RULES: dict[str, Rule] = {
    "AddmmBackward0": Rule(frozenset({0, 2}), _product),
    "MmBackward0": Rule(frozenset({1}), _product),
    "EmbeddingBackward0": Rule(frozenset({0}), _embedding),
    "NativeLayerNormBackward0": Rule(frozenset({1, 2}), _layer_norm),
    "NativeGroupNormBackward0": Rule(frozenset({1, 2}), _group_norm, channels=True),
    "NativeBatchNormBackward0": Rule(frozenset({1, 2}), _batch_norm, channels=True),
    "ConvolutionBackward0": Rule(frozenset({1, 2}), _convolution, channels=True),
    "MulBackward0": Rule(frozenset({0, 1}), _multiply, broadcasts=True),
    "AddBackward0": Rule(frozenset({0, 1}), _add, broadcasts=True),
    "SubBackward0": Rule(frozenset({0, 1}), _add, broadcasts=True),
    "ExpandBackward0": Rule(frozenset({0}), _expand, broadcasts=True),
}
"""Operations where a parameter may meet rows, by the name of autograd's node."""

# fmt: off
CHAIN: frozenset[str] = frozenset(
    f"{name}Backward{variant}"
    for name in (
        "Add", "Alias", "Cat", "Clone", "Div", "Embedding", "Exp", "Expand", "Index",
        "LinalgVectorNorm", "Mul", "Neg", "Norm", "Permute", "Pow", "ReshapeAlias", "Rsqrt",
        "Select", "Slice", "Split", "SplitWithSizes", "Sqrt", "Squeeze", "Stack", "Sub", "Sum",
        "T", "Tanh", "ToCopy", "Transpose", "Unbind", "UnsafeView", "Unsqueeze", "View",
        "WeightNormInterface",
    )
    for variant in range(3)
)
# fmt: on
"""Operations a parameter may pass through on its own before it meets rows."""
