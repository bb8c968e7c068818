"""A figure of the regret curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import registry
from plan import Plan
from records import Record, select
from regret import Curves, raised

#: Experiment and title of each column.
COLUMNS = {"own": "own starts", "shared": "the same ten uniform points first"}


def draw(plan: Plan, stored: dict[str, list[Record]], path: Path) -> None:
    """Median regret over the seeds, mean over functions, of every optimiser: a PNG.

    Nothing is drawn where matplotlib is not installed or nothing was run.
    """
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
        from matplotlib.lines import Line2D
    except ImportError:
        print("matplotlib is not installed, so there is no figure")
        return
    rows = {"all": plan.names(), "merging-like": plan.names(merging=True)}
    figure, axes = pyplot.subplots(2, 2, figsize=(12, 8), sharex=True, sharey=True, squeeze=False)
    palette = pyplot.colormaps["tab20"]
    colours = {name: palette(index) for index, name in enumerate(registry.ENTRIES)}
    drawn: dict[str, Line2D] = {}
    for column, (experiment, start) in enumerate(COLUMNS.items()):
        records = stored[experiment]
        scales = raised(plan.scales(), records)
        for line, (title, functions) in enumerate(rows.items()):
            axis = axes[line][column]
            axis.set_title(f"{title} functions ({len(functions)}), {start}", fontsize=10)
            for name in registry.ENTRIES:
                curves = Curves.of(select(records, optimiser=name), scales).within(functions)
                if curves is None:
                    continue
                median = curves.median
                drawn[name] = axis.semilogy(
                    np.arange(1, len(median) + 1),
                    np.maximum(median, 1e-4),
                    color=colours[name],
                    linewidth=2.2 if registry.is_ours(name) else 1.2,
                    linestyle="-" if registry.is_ours(name) else "--",
                )[0]
            axis.grid(alpha=0.3)
    if drawn:
        for axis in axes[-1]:
            axis.set_xlabel("evaluations")
        for axis in axes[:, 0]:
            axis.set_ylabel("median regret")
        figure.legend(list(drawn.values()), list(drawn), loc="outside lower center", ncols=6)
        figure.tight_layout(rect=(0, 0.07, 1, 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=120)
        print(f"\n{path}")
    pyplot.close(figure)
