"""Speed and agreement of the vectorised Fisher estimator, on a BERT-like encoder.

    python Benchmarks/fisher_estimator.py [--samples 30] [--threads 1] [--repeat 3] [--out FILE]

Six layers, hidden 384, 12 heads, 30,522 word pieces, 22 M parameters (the shape of
all-MiniLM-L6-v2) with random weights; 30 rows of 8 to 48 tokens, 4 classes. Measured at the same
weights and rows: the vectorised route; the loop over rows of the paper's published code (one
forward and one backward pass per row and class); and this package's own fallback loop, which
saves one class by the rank of diag(p) - p p^T, repeats no forward pass and squares in place.
Prints a table and writes a list of {"name", "value", "unit", "goal", "meets"}. Goals: at least
5 times the speed of the paper's loop, and a largest difference from either of at most 1e-5 of
each parameter's largest entry. Times are processor times of the whole process.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from dfmerge.torch import Fisher

HIDDEN, HEADS, LAYERS, WORDS, CLASSES, LONGEST = 384, 12, 6, 30522, 4, 48
SPEED_GOAL, ERROR_GOAL = 5.0, 1e-5
# A parameter below this share of the model's largest entry holds rounding only (attention's key
# bias: its gradient is zero), and is compared with the share instead of its own largest entry.
NOISE = 1e-8


class Layer(nn.Module):
    """One post-norm BERT layer."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.output = (
            nn.Linear(HIDDEN, HIDDEN) for _ in range(4)
        )
        self.norm1, self.norm2 = nn.LayerNorm(HIDDEN), nn.LayerNorm(HIDDEN)
        self.up, self.down = nn.Linear(HIDDEN, 4 * HIDDEN), nn.Linear(4 * HIDDEN, HIDDEN)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        rows, length, _ = x.shape
        q, k, v = (
            layer(x).view(rows, length, HEADS, -1).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        a = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = self.norm1(x + self.output(a.transpose(1, 2).reshape(rows, length, -1)))
        out: Tensor = self.norm2(x + self.down(functional.gelu(self.up(x))))
        return out


class Encoder(nn.Module):
    """Word, position and type embeddings, six layers, mean pooling, a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.word = nn.Embedding(WORDS, HIDDEN, padding_idx=0)
        self.position, self.kind = nn.Embedding(512, HIDDEN), nn.Embedding(2, HIDDEN)
        self.norm = nn.LayerNorm(HIDDEN)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.head = nn.Linear(HIDDEN, CLASSES)

    def forward(self, ids: Tensor) -> Tensor:
        real = ids != 0
        places = torch.arange(ids.shape[1])[None]
        x = self.norm(self.word(ids) + self.position(places) + self.kind(torch.zeros_like(ids)))
        for layer in self.layers:
            x = layer(x, real[:, None, None, :])
        keep = real.unsqueeze(-1).to(x.dtype)
        out: Tensor = self.head((x * keep).sum(1) / keep.sum(1))
        return out


def log_probs(module: nn.Module, rows: list[Tensor]) -> Tensor:
    """Pad the rows of a batch and return the logits."""
    out: Tensor = module(nn.utils.rnn.pad_sequence(rows, batch_first=True))
    return out


def papers_way(module: nn.Module, rows: list[Tensor]) -> dict[str, Tensor]:
    """The paper's published loop: a row's p, then one forward and backward pass per class."""
    total = {name: torch.zeros_like(p) for name, p in module.named_parameters()}
    for row in rows:
        p = torch.softmax(log_probs(module, [row])[0].detach(), 0)
        for y in range(CLASSES):
            module.zero_grad()
            torch.log_softmax(log_probs(module, [row])[0], 0)[y].backward()  # type: ignore[no-untyped-call]
            for name, parameter in module.named_parameters():
                assert parameter.grad is not None
                total[name] += p[y] * torch.square(parameter.grad)
    module.zero_grad()
    return {name: t / len(rows) for name, t in total.items()}


def seconds(repeat: int, run: Callable[[], object]) -> float:
    """Least processor time of `repeat` runs (unaffected by other load on the machine)."""
    times = []
    for _ in range(repeat):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def largest_error(got: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """Largest difference in any parameter, relative to the parameter's largest entry."""
    floor = NOISE * max(t.max().item() for t in expected.values())
    return max(
        (got[name] - t).abs().max().item() / max(t.max().item(), floor)
        for name, t in expected.items()
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Fisher estimator benchmark")
    parser.add_argument("--samples", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("build/bench/fisher.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    module = Encoder().eval()
    lengths = torch.randint(8, LONGEST + 1, (arguments.samples,)).tolist()
    rows = [torch.randint(1, WORDS, (n,)) for n in lengths]

    def measured(vectorize: str) -> tuple[dict[str, Tensor], float, Fisher]:
        fisher = Fisher(module, {"m": rows}, log_probs, samples=None, vectorize=vectorize)  # type: ignore[arg-type]
        fisher.measure("m", {name: torch.zeros_like(p) for name, p in module.named_parameters()})
        into = {name: torch.zeros_like(p) for name, p in module.named_parameters()}
        took = seconds(1, lambda: fisher.measure("m", into))
        again = {name: torch.zeros_like(p) for name, p in module.named_parameters()}
        repeat = arguments.repeat - 1 if vectorize == "auto" else 0
        more = [seconds(1, lambda: fisher.measure("m", again)) for _ in range(repeat)]
        return into, min([took, *more]), fisher

    fast, fast_seconds, fisher = measured("auto")
    slow, slow_seconds, _ = measured("loop")
    start = time.process_time()
    paper = papers_way(module, rows)
    paper_seconds = time.process_time() - start
    if fisher.route != "graph":
        print(f"unexpected route: {fisher.route}")
        return 1
    results: list[dict[str, object]] = []

    def add(name: str, value: float, unit: str, goal: str = "", meets: bool | None = None) -> None:
        results.append({"name": name, "value": value, "unit": unit, "goal": goal, "meets": meets})

    speed, error = paper_seconds / fast_seconds, largest_error(fast, slow)
    paper_error = largest_error(fast, paper)
    add("vectorised", fast_seconds, "s")
    add("paper's loop", paper_seconds, "s")
    add("fallback loop", slow_seconds, "s")
    add("speed against the paper's loop", speed, "x", f">= {SPEED_GOAL:g}", speed >= SPEED_GOAL)
    add("speed against the fallback loop", slow_seconds / fast_seconds, "x")
    add("largest error, fallback loop", error, "rel", f"<= {ERROR_GOAL:g}", error <= ERROR_GOAL)
    add("largest error, paper's loop", paper_error, "rel", f"<= {ERROR_GOAL:g}",
        paper_error <= ERROR_GOAL)  # fmt: skip
    print(f"{arguments.samples} rows, {CLASSES} classes, {arguments.threads} thread(s)")
    for entry in results:
        verdict = {None: "", True: "ok", False: "MISSED"}[entry["meets"]]  # type: ignore[index]
        print(f"{entry['name']:36} {entry['value']:>10.3g} {entry['unit']:4} {entry['goal']:9} "
              f"{verdict}")  # fmt: skip
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(results, indent=1) + "\n")
    return 0 if all(entry["meets"] is not False for entry in results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
