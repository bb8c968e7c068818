"""The tensors of T5-base, and random but plausible weights and Fisher values for them."""

from __future__ import annotations

import torch
from torch import Tensor

Weights = dict[str, Tensor]

VOCABULARY, WIDTH, INNER, HEADS, BUCKETS = 32128, 768, 3072, 12, 32
LAYERS, MODELS = 12, 6
#: Values are drawn for so many elements and repeated: the arithmetic does not see the difference.
DRAWN = 1 << 22


def shapes(layers: int = LAYERS) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the parameters; 222.9 M with 12 layers in encoder and decoder each.

    The embedding is tied, and stands here once.
    """
    found: dict[str, tuple[int, ...]] = {"shared.weight": (VOCABULARY, WIDTH)}
    for stack, attentions in (
        ("encoder", ("SelfAttention",)),
        ("decoder", ("SelfAttention", "EncDecAttention")),
    ):
        for block in range(layers):
            prefix = f"{stack}.block.{block}.layer"
            for number, attention in enumerate(attentions):
                for letter in "qkvo":
                    found[f"{prefix}.{number}.{attention}.{letter}.weight"] = (WIDTH, WIDTH)
                if block == 0 and number == 0:
                    bias = f"{prefix}.0.{attention}.relative_attention_bias.weight"
                    found[bias] = (BUCKETS, HEADS)
                found[f"{prefix}.{number}.layer_norm.weight"] = (WIDTH,)
            last = len(attentions)
            found[f"{prefix}.{last}.DenseReluDense.wi.weight"] = (INNER, WIDTH)
            found[f"{prefix}.{last}.DenseReluDense.wo.weight"] = (WIDTH, INNER)
            found[f"{prefix}.{last}.layer_norm.weight"] = (WIDTH,)
        found[f"{stack}.final_layer_norm.weight"] = (WIDTH,)
    return found


class Inputs:
    """Base, fine-tuned models and Fisher values in F32, and a target to write into.

    base ~ N(0, 0.02), task vectors ~ N(0, 0.001), Fisher values exp(N(-14, 4)).
    """

    def __init__(self, layers: int, models: int = MODELS) -> None:
        sizes = shapes(layers)
        self.base = self._drawn(sizes, 0, lambda values: values * 0.02)
        self.models = [
            self._drawn(sizes, 1 + number, lambda values: values * 1e-3) for number in range(models)
        ]
        for model in self.models:
            for name, value in model.items():
                value.add_(self.base[name])
        self.fishers = [
            self._drawn(sizes, 101 + number, lambda values: torch.exp(values * 4 - 14))
            for number in range(models)
        ]
        self.target = {name: torch.zeros(shape) for name, shape in sizes.items()}
        # Two of the interval's inner points, an end, and what lies between.
        self.coefficients = [0.3, 0.55, 0.0, 0.8, 0.4, 0.95][:models]

    @property
    def parameters(self) -> int:
        """Number of parameters of one model."""
        return sum(tensor.numel() for tensor in self.base.values())

    @staticmethod
    def _drawn(sizes: dict[str, tuple[int, ...]], seed: int, shaped: object) -> Weights:
        assert callable(shaped)
        draws: Tensor = shaped(torch.randn(DRAWN, generator=torch.Generator().manual_seed(seed)))
        found = {}
        for position, (name, shape) in enumerate(sizes.items()):
            tensor = torch.empty(shape)
            flat = tensor.view(-1)
            # Another start for each tensor, so that equal shapes do not hold equal values.
            start = position * 65537 % DRAWN
            at = 0
            while at < flat.numel():
                part = draws[start : start + flat.numel() - at]
                flat[at : at + part.numel()] = part
                at, start = at + part.numel(), 0
            found[name] = tensor
        return found
