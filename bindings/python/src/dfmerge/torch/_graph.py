"""Vectorised per-row gradients, read off the graph that autograd records.

One forward pass over B rows records how every parameter reaches the scores. Each parameter is
followed from its leaf, through operations on it alone (transpose, cast, slice: the *chain*), to
the *uses* where it first meets rows; `_rules` forms the per-row gradients there from the
gradient at the operation's output. So one backward pass per seed, without any weight gradient,
serves all rows and all parameters. Since every path from a parameter is followed, none of its
uses can be missed (tied weights, functional calls with a layer's weight, a module called twice):
a path that ends at an operation without a rule leaves the whole parameter uncovered, and the
caller measures it by another route.

Which dimension of an intermediate result counts the rows is not guessed from its shape alone:
two *probe* passes, one seeded at even and one at odd rows, must each vanish on the other's rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

from ._layout import Layout
from ._rows import Computed, Rows, add_squares_of_sum, widen
from ._rules import CHAIN, RULES, Input

# Chains that leave the gradient as it is, up to a transpose.
_PLAIN = frozenset({"TBackward0", "ToCopyBackward0", "AliasBackward0"})

Signature = tuple[object, ...]
LayoutMemory = dict[Signature, list[Layout | None]]
"""Layouts found by probing, by the shape of the graph: equal graphs are probed once."""


class _UncoveredError(Exception):
    """A parameter reaches an operation that has no rule."""


@dataclass
class _Use:
    """A place where a parameter meets rows, and the operations it came through."""

    place: Input
    edge: tuple[Any, int]
    path: tuple[str, ...]
    layout: Layout

    @property
    def plain(self) -> bool:
        return all(name in _PLAIN for name in self.path)


class RecordedGraph:
    """The graph below scores [B, K], B >= 2, from a forward pass with gradients enabled."""

    def __init__(self, scores: Tensor, memory: LayoutMemory) -> None:
        self.scores = scores
        self.rows = scores.shape[0]
        self.consumers: dict[tuple[Any, int], list[tuple[Any, int]]] = {}
        self.leaves: dict[int, Any] = {}
        self.half_precision = False
        self._record()
        self._memory = memory
        self._layouts: dict[Any, Layout | None] = {}

    def _record(self) -> None:
        pending = [self.scores.grad_fn]
        seen = set(pending)
        while pending:
            node: Any = pending.pop()
            dtype = _metadata(node, 0).dtype
            self.half_precision |= dtype in (torch.float16, torch.bfloat16)
            if hasattr(node, "variable"):
                self.leaves[id(node.variable)] = node
            for index, (source, output) in enumerate(node.next_functions):
                if source is not None:
                    self.consumers.setdefault((source, output), []).append((node, index))
                    if source not in seen:
                        seen.add(source)
                        pending.append(source)

    def add_squares(
        self,
        parameters: Mapping[str, Tensor],
        seeds: Tensor,
        accumulators: Mapping[str, Tensor],
        weight: float,
    ) -> dict[str, str]:
        """Add weight * sum over seeds [S, B, K] and rows of squared gradients.

        Returns the parameters it could not cover, with the reason; their accumulators are
        untouched. A parameter that the scores do not depend on adds nothing.
        """
        reached = {n: p for n, p in parameters.items() if id(p) in self.leaves}
        self._find_layouts(reached)
        uses: dict[str, list[_Use]] = {}
        uncovered: dict[str, str] = {}
        for name, parameter in reached.items():
            try:
                uses[name] = self._uses(parameter)
            except _UncoveredError as reason:
                uncovered[name] = str(reason)
        nodes = list(dict.fromkeys(use.place.node for found in uses.values() for use in found))
        for seed in seeds if nodes else []:
            gradients = dict(zip(nodes, self._backward(nodes, seed), strict=True))
            with torch.no_grad():  # the saved inputs belong to the graph
                for name, found in list(uses.items()):
                    try:
                        parts = [
                            self._gradient(use, d, parameters[name])
                            for use in found
                            if (d := gradients[use.place.node]) is not None
                        ]
                    except AttributeError as error:
                        # The nodes' saved tensors are no stable interface of torch. What one
                        # lacks is missed at the first seed, before anything was added.
                        uncovered[name] = f"read through an unknown node of autograd ({error})"
                        del uses[name]
                        continue
                    if parts:
                        add_squares_of_sum(parts, self.rows, accumulators[name], weight)
        return uncovered

    def _backward(self, nodes: list[Any], seed: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients at the nodes' outputs; the graph is kept for the next seed."""
        edges = [GradientEdge(node, 0) for node in nodes]
        return torch.autograd.grad(self.scores, edges, seed, retain_graph=True, allow_unused=True)

    def _uses(self, parameter: Tensor) -> list[_Use]:
        """Every place where the parameter meets rows; _UncoveredError if one has no rule."""
        found: dict[tuple[Any, int], _Use] = {}
        pending: list[tuple[tuple[Any, int], tuple[str, ...]]] = [
            ((self.leaves[id(parameter)], 0), ())
        ]
        walked = set()
        while pending:
            edge, path = pending.pop()
            walked.add(edge)
            for node, index in self.consumers.get(edge, []):
                name = node.name()
                layout = self._layouts.get(node)
                place = _input(node, index, edge)
                if layout is not None and name in RULES and RULES[name].accepts(place, layout):
                    if (node, index) not in found:
                        found[node, index] = _Use(place, edge, path, layout)
                elif name in CHAIN and node is not self.scores.grad_fn:
                    outputs = [
                        (node, n)
                        for n in range(len(node._input_metadata))
                        if (node, n) in self.consumers
                    ]
                    for output in outputs:
                        if output in walked:
                            # Reached twice: one gradient of the chain holds both ways.
                            continue
                        pending.append((output, (*path, name)))
                else:
                    raise _UncoveredError(f"used by {name}, for which there is no per-row rule")
        uses = list(found.values())
        for use in uses:
            if use.plain:
                transposed = use.path.count("TBackward0") % 2 == 1
                use.place = _input(use.place.node, use.place.index, use.edge, transposed)
        return uses

    def _gradient(self, use: _Use, d: Tensor, parameter: Tensor) -> Rows:
        """Per-row gradients of the parameter through one use, from d at the use's output."""
        rule = RULES[use.place.node.name()]
        rows = rule.rows(use.place, d, use.layout)
        product = use.place.node.name() in ("AddmmBackward0", "MmBackward0")
        if use.plain and (not use.place.transposed or (product and use.place.index != 0)):
            return rows
        edge = GradientEdge(*use.edge)
        dtype = _metadata(*use.edge).dtype

        def through_chain(b: int) -> Tensor:
            gradient = rows.row(b).to(dtype)
            (theta,) = torch.autograd.grad(edge, [parameter], gradient, retain_graph=True)
            return widen(theta)

        return Computed(self.rows, through_chain)

    def _find_layouts(self, parameters: Mapping[str, Tensor]) -> None:
        """Settle which dimension counts the rows at every node a parameter may meet them."""
        nodes = self._candidates(parameters)
        shapes = [_metadata(node, 0).shape for node in nodes]
        signature: Signature = tuple(
            (node.name(), len(shape), *Layout.fits(shape, self.rows))
            for node, shape in zip(nodes, shapes, strict=True)
        )
        key = (self.rows, *signature)
        known = self._memory.get(key)
        if known is None:
            layouts, certain = self._probe(nodes, shapes)
            if certain:
                self._memory[key] = layouts
        else:
            layouts = [
                layout and layout.like(shape) for layout, shape in zip(known, shapes, strict=True)
            ]
        self._layouts = dict(zip(nodes, layouts, strict=True))

    def _candidates(self, parameters: Mapping[str, Tensor]) -> list[Any]:
        """Nodes with a rule that parameters reach through chains, in a reproducible order."""
        found: dict[Any, None] = {}
        pending = [(self.leaves[id(p)], 0) for p in parameters.values()]
        seen = set(pending)
        while pending:
            for node, _ in self.consumers.get(pending.pop(), []):
                shape = _metadata(node, 0).shape
                if node.name() in RULES and Layout.candidates(shape, self.rows):
                    found[node] = None
                if node.name() in CHAIN:
                    for output in ((node, n) for n in range(len(node._input_metadata))):
                        if output not in seen:
                            seen.add(output)
                            pending.append(output)
        return list(found)

    def _probe(
        self, nodes: list[Any], shapes: list[torch.Size]
    ) -> tuple[list[Layout | None], bool]:
        """Layouts by two backward passes, and whether they hold for every graph of this kind."""
        if not nodes:
            return [], True
        # Fixed numbers without a pattern, so that no gradient vanishes by symmetry.
        count = self.scores.numel()
        phase = torch.arange(1, count + 1, dtype=torch.float64).mul_(2.399963).sin_()
        even = phase.view(self.scores.shape).to(self.scores.dtype)
        odd = even.clone()
        even[1::2] = 0
        odd[0::2] = 0
        probes = [self._backward(nodes, even), self._backward(nodes, odd)]
        layouts: list[Layout | None] = []
        certain = True
        for shape, at_even, at_odd in zip(shapes, *probes, strict=True):
            certain = certain and at_even is not None and bool(at_even.any())
            certain = certain and at_odd is not None and bool(at_odd.any())
            fitting = (
                layout
                for layout in Layout.candidates(shape, self.rows)
                if (at_even is None or not layout.split(at_even)[1::2].any())
                and (at_odd is None or not layout.split(at_odd)[0::2].any())
            )
            layout = next(fitting, None)
            certain = certain and (layout is None or layout.like(shape) == layout)
            layouts.append(layout)
        return layouts, certain


def _metadata(node: Any, output: int) -> Any:
    """Shape and dtype of one output of a node."""
    return node._input_metadata[output]


def _input(node: Any, index: int, edge: tuple[Any, int], transposed: bool = False) -> Input:
    return Input(
        node, index, _metadata(*edge).shape, _metadata(node, 0).shape, transposed=transposed
    )
