"""Five networks that read handwritten digits: one generalist and four specialists to merge.

Data: the 1,797 real 8x8 pictures bundled with scikit-learn, split once per seed into four disjoint
parts: pretraining, fine-tuning, validation (all a search may look at) and test.
Generalist: a short training on all 16 ways to show a picture (the square's 8 symmetries, dark or
light ink). Specialists: the generalist, trained further on one way alone. Each gets good at its
own and forgets the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import dfmerge

Weights = dict[str, Tensor]

# Taken for what they are, not for their scores: the original, two symmetries, the other ink.
DOMAINS: dict[str, Callable[[Tensor], Tensor]] = {
    "upright": lambda x: x,
    "rotated": lambda x: x.rot90(1, (1, 2)),
    "inverted": lambda x: 1 - x,
    "mirrored": lambda x: x.flip(2),
}
SPLITS = {"pretrain": 397, "finetune": 600, "validation": 300, "test": 500}
# Chosen on validation pictures, so that every specialist is good and their plain average is not.
HIDDEN = (512, 256)
PRETRAIN_STEPS = 100
FINETUNE_STEPS = 200
BATCH = 64
LEARNING_RATE = 1e-3
# Stands beside the checkpoints; those that another recipe made are made again.
RECIPE = f"1 {SPLITS} {HIDDEN} {PRETRAIN_STEPS} {FINETUNE_STEPS} {BATCH} {LEARNING_RATE}"


def network() -> nn.Sequential:
    """167,178 parameters: 64 -> 512 -> 256 -> 10 with ReLU, from pixels in [0, 1]."""
    a, b = HIDDEN
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, a), nn.ReLU(), nn.Linear(a, b), nn.ReLU(), nn.Linear(b, 10)
    )


@dataclass(frozen=True)
class Problem:
    """The networks' files and the data; `evaluate` and `log_probs` are what a search needs."""

    base: Path
    models: dict[str, Path]
    images: dict[str, Tensor]  # split -> [n, 8, 8], as scikit-learn gives them
    labels: dict[str, Tensor]  # split -> [n]

    def view(self, split: str, domain: str) -> Tensor:
        """The split's pictures [n, 8, 8] as `domain` shows them."""
        return DOMAINS[domain](self.images[split])

    def evaluate(self, module: nn.Module, split: str) -> dict[str, float]:
        """Accuracy per domain, all four in one forward pass."""
        with torch.inference_mode():
            logits = module(torch.cat([self.view(split, domain) for domain in DOMAINS]))
            guesses = logits.argmax(1).view(len(DOMAINS), -1)
            right = (guesses == self.labels[split]).double().mean(1)
        return dict(zip(DOMAINS, right.tolist(), strict=True))

    def fisher_data(self) -> dict[str, Tensor]:
        """Validation pictures for each specialist's Fisher; no labels are needed."""
        return {domain: self.view("validation", domain) for domain in DOMAINS}


def load(path: Path) -> Weights:
    """A checkpoint as a state dict."""
    return {name: torch.from_numpy(array) for name, array in dfmerge.load(path).items()}


def log_probs(module: nn.Module, batch: Tensor) -> Tensor:
    """log p(digit | picture), [B, 10]."""
    return torch.log_softmax(module(batch), 1)


def prepare(folder: Path, seed: int = 0, say: Callable[[str], None] = print) -> Problem:
    """The problem of `seed`; trains what `folder` does not hold yet (a few seconds in all)."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # faster than more for networks this small, and the same bits
    random = torch.Generator().manual_seed(seed)
    digits = load_digits()
    images = torch.tensor(digits.images / 16, dtype=torch.float32)
    parts = torch.randperm(len(images), generator=random).split(list(SPLITS.values()))
    problem = Problem(
        base=folder / "generalist.safetensors",
        models={domain: folder / f"{domain}.safetensors" for domain in DOMAINS},
        images={name: images[part] for name, part in zip(SPLITS, parts, strict=True)},
        labels={
            name: torch.tensor(digits.target)[part]
            for name, part in zip(SPLITS, parts, strict=True)
        },
    )
    recipe, made_by = f"{RECIPE} seed {seed}", folder / "recipe.txt"
    if made_by.exists() and made_by.read_text() == recipe:
        say(f"Using the five trained networks in {folder}")
        return problem

    made_by.unlink(missing_ok=True)
    say(f"Training the generalist ({PRETRAIN_STEPS} steps on all 16 ways to show a picture)")
    torch.manual_seed(seed)  # the initial weights
    generalist = network()
    seen = torch.cat(list(_all_views(problem.images["pretrain"])))
    labels = problem.labels["pretrain"].repeat(len(seen) // SPLITS["pretrain"])
    _train(generalist, seen, labels, PRETRAIN_STEPS, random)
    dfmerge.save(generalist.state_dict(), str(problem.base))
    for domain, path in problem.models.items():
        say(f"Training a specialist ({FINETUNE_STEPS} steps on {domain} pictures)")
        specialist = network()
        specialist.load_state_dict(generalist.state_dict())
        view, labels = problem.view("finetune", domain), problem.labels["finetune"]
        _train(specialist, view, labels, FINETUNE_STEPS, random)
        dfmerge.save(specialist.state_dict(), str(path))
    made_by.write_text(recipe)  # last, so that a stopped run is not taken for a finished one
    return problem


def _all_views(images: Tensor) -> Iterator[Tensor]:
    """The square's 8 symmetries, each with dark and with light ink."""
    for turns in range(4):
        turned = images.rot90(turns, (1, 2))
        for view in (turned, turned.flip(2)):
            yield view
            yield 1 - view


def _train(
    module: nn.Module, images: Tensor, labels: Tensor, steps: int, random: torch.Generator
) -> None:
    optimizer = torch.optim.AdamW(module.parameters(), lr=LEARNING_RATE, weight_decay=0)
    for _ in range(steps):
        rows = torch.randint(len(images), (BATCH,), generator=random)
        optimizer.zero_grad()
        cross_entropy(module(images[rows]), labels[rows]).backward()
        optimizer.step()
