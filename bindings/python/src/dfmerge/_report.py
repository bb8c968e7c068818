"""A result as one self-contained HTML page: inline charts, no scripts, no network."""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Iterable, Mapping
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from . import _axes, _charts, _plots
from ._plots import Panel
from ._words import words_of

_STYLE = """
:root{color-scheme:light dark;--page:#fff;--ink:#1d2329;--soft:#59636e;--line:#d5dae0;
--card:#f5f7f9;--accent:#b4560c;--bad:#b3263a}
@media (prefers-color-scheme:dark){:root{--page:#14181d;--ink:#e4e8ec;--soft:#a0a9b3;
--line:#363d46;--card:#1d232a;--accent:#f0a35e;--bad:#f08a97}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:62rem;padding:2rem 1.25rem 4rem;background:var(--page);
color:var(--ink);font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.6rem;margin:0 0 .25rem}
h2{font-size:1.15rem;margin:2.5rem 0 .5rem}
p.sub,figcaption{color:var(--soft);margin:0 0 .75rem;font-size:.92rem}
dl.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.75rem;
margin:1.25rem 0}
dl.tiles div{background:var(--card);border:1px solid var(--line);border-radius:.5rem;
padding:.6rem .8rem}
dt{color:var(--soft);font-size:.82rem}
dd{margin:0;font-size:1.25rem;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
dd small{color:var(--soft);font-size:.8rem}
figure{margin:0}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(18rem,1fr));gap:0 1.5rem}
th small{color:var(--soft);font-weight:400}
svg{width:100%;height:auto;color:var(--soft)}
svg text{font-family:system-ui,sans-serif!important}
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:.5rem}
.tall{max-height:32rem;overflow-y:auto}
table{border-collapse:collapse;width:100%;font-size:.88rem;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .7rem;text-align:right;border-bottom:1px solid var(--line);
white-space:nowrap}
th:first-child,td:first-child,.text{text-align:left}
thead th{position:sticky;top:0;background:var(--card)}
tbody tr:last-child>*{border-bottom:0}
tr.best{background:var(--card);font-weight:600}
tr.best td:first-child{box-shadow:inset 3px 0 var(--accent)}
.failed{color:var(--bad)}
ul.warnings{border-left:3px solid var(--accent);background:var(--card);margin:1rem 0;
padding:.6rem 1rem .6rem 2rem;border-radius:.25rem}
code{overflow-wrap:anywhere;white-space:normal}
footer{margin-top:3rem;color:var(--soft);font-size:.85rem}
@media print{.tall{max-height:none}body{max-width:none}}
"""

_ENDS = {
    "trials": "all trials made",
    "time": "time used up",
    "target": "target reached",
    "improvement": "little left to gain",
    "complete": "every model tried",
}
_LONGEST_OPTION = 300


def plot(result: Mapping[str, Any]) -> Any:
    """Draw the report's charts as one matplotlib Figure; see `dfmerge._plots.plot`."""
    return _plots.plot(result)


def report(result: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write the report of a finished (or stopped) search.

    The page holds the score's course, coefficients by trial, scores by task, what the model of
    the search has learnt, every trial, the options and the time spent. It is one file without
    scripts or outside references, readable in light and dark mode, and is replaced in one step.

    Parameters
    ----------
    result : mapping
        What `Result.to_dict()` returns, format 2.
    path : path-like
        The HTML file to write; an existing file is replaced.

    Raises
    ------
    ImportError
        matplotlib is not installed; the message names the extra that brings it.
    ValueError
        The result has another format.
    OSError
        The file cannot be written.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"the folder {str(target.parent)!r} of the report does not exist")
    page = render(result)
    # Names may hold lone surrogates (undecodable bytes): they become character references.
    data = page.encode("utf-8", errors="xmlcharrefreplace")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def render(result: Mapping[str, Any]) -> str:
    """Return the page as text."""
    _plots.check_format(result)
    charts = "".join(_chart(i, panel) for i, panel in enumerate(_plots.panels(result)))
    models = ", ".join(str(m) for m in result["models"])
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>DFMerge report: {escape(models)}</title><style>{_STYLE}</style></head><body>"
        f"<main><h1>{words_of(result).title}</h1><p class=sub>{escape(models)}</p>"
        f"{_summary(result)}{_warnings(result)}{_best(result)}"
        f"{_soup(result)}{charts}"
        f"{_trials(result)}{_time(result)}{_options(result)}</main>"
        f"<footer>DFMerge {escape(str(result.get('library', '')))}</footer></body></html>\n"
    )


def _number(value: Any, digits: int = 4) -> str:
    """A number for reading, an en dash where there is none."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return _charts.decimal(value, digits)
    return escape(str(value))


def _seconds(value: Any) -> str:
    if value is None:
        return "–"
    seconds = float(value)
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _table(head: Iterable[str], rows: Iterable[tuple[str, Iterable[str]]], css: str = "") -> str:
    """A table of HTML cells, escaped by the caller; each row is its class and its cells."""
    header = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join(
        f"<tr{f' class={css_row}' if css_row else ''}>"
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
        for css_row, cells in rows
    )
    return (
        f'<div class="scroll {css}" tabindex="0"><table><thead><tr>{header}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _summary(result: Mapping[str, Any]) -> str:
    trials, best, time = result["trials"], result.get("best"), result.get("time") or {}
    failed = sum(trial["state"] == "failed" for trial in trials)
    settled = sum(trial["state"] == "subset" for trial in trials)
    tiles = []
    if best:
        interval = best.get("interval")
        between = (
            f"<br><small>expected: {_number(interval[0])} to {_number(interval[1])}</small>"
            if interval
            else ""
        )
        how = {"posterior_mean": "by the model's mean", "observed": "by its observed score"}
        tiles.append(("Best score", _number(best.get("value")) + between))
        chosen = escape(how.get(str(best.get("by")), str(best.get("by"))))
        number = best.get("number")
        floors = (
            "" if best.get("feasible", True) else "<br><small class=failed>below a floor</small>"
        )
        tiles.append(("Chosen trial", f"{_number(number)}<br><small>{chosen}</small>{floors}"))
        over = (result.get("margin") or {}).get("average")
        if over:
            signed = partial(_charts.decimal, sign="+")
            ends = over.get("interval")
            note = f"<br><small>{signed(ends[0])} to {signed(ends[1])}</small>" if ends else ""
            tiles.append(("Over averaging", f"{signed(over['difference'])}{note}"))
    note = f"<br><small>{settled} on the subset only</small>" if settled else ""
    note += f"<br><small class=failed>{failed} failed</small>" if failed else ""
    tiles.append(("Trials", f"{len(trials)}{note}"))
    if result.get("ended"):
        tiles.append(("Ended", _ENDS.get(result["ended"], escape(str(result["ended"])))))
    if result.get("observations"):
        tiles.append(("Known before", f"{result['observations']}<br><small>observations</small>"))
    tiles.append(("Total time", _seconds(time.get("total"))))
    if time.get("outside_share") is not None:
        share = f"{100 * float(time['outside_share']):.2g} %"
        tiles.append(("Outside your callbacks", share))
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles)
    return f"<dl class=tiles>{cells}</dl>"


def _warnings(result: Mapping[str, Any]) -> str:
    items = "".join(f"<li>{escape(str(text))}</li>" for text in result.get("warnings") or [])
    return f'<ul class=warnings role="note" aria-label="Warnings">{items}</ul>' if items else ""


def _best(result: Mapping[str, Any]) -> str:
    best, words = result.get("best"), words_of(result)
    if not best:
        return f"<h2>{words.chosen}</h2><p class=failed>No trial was completed.</p>"
    groups = _axes.groups_of(result)
    rows = [
        ("", (escape(str(n)), *(_number(c[g]) for g in groups)) if groups
         else (escape(str(n)), _number(c)))
        for n, c in best["coefficients"].items()
    ]  # fmt: skip
    if best.get("exponent") is not None and not result.get("soup"):
        empty = [""] * max(len(groups) - 1, 0)
        rows.append(("", ("Fisher exponent", _number(best["exponent"]), *empty)))
    head = [words.subject, *([escape(group) for group in groups] or [words.value])]
    out = f"<section><h2>{words.chosen}</h2>{_table(head, rows)}</section>"
    if best.get("scores"):
        floors = (result.get("options") or {}).get("floors") or {}
        scores = [
            (
                "failed" if n in floors and s < floors[n] else "",
                (escape(str(n)), _number(s), *([_number(floors.get(n))] if floors else [])),
            )
            for n, s in best["scores"].items()
        ]
        head = ["Task", "Score", *(["Floor"] if floors else [])]
        out += f"<section><h2>Its scores</h2>{_table(head, scores)}</section>"
    return out if groups else f"<div class=pair>{out}</div>"


def _soup(result: Mapping[str, Any]) -> str:
    """What came of each model of a greedy soup."""
    soup = result.get("soup")
    if not soup:
        return ""
    rows = []
    for place, decision in enumerate(soup["decisions"]):
        # The best model, and one that failed alone, were tried with no other.
        is_tried = place > 0 and decision["alone"] is not None
        accepted = decision["accepted"]
        cells = (
            escape(str(decision["model"])),
            _number(decision["alone"]),
            _number(decision["value"]) if is_tried else "",
            "first" if accepted and not is_tried else "joined" if accepted else "left out",
            _number(decision["number"]),
        )
        rows.append(("best" if accepted else "", cells))
    head = ["Model", "Score alone", "Score of the soup with it", "Decision", "Trial"]
    return f"<section><h2>Decisions</h2>{_table(head, rows)}</section>"


def _chart(index: int, panel: Panel) -> str:
    return (
        f'<h2 id="chart{index}">{escape(panel.title)}</h2><figure>'
        f"<figcaption>{escape(panel.caption)}</figcaption>{_svg(index, panel)}</figure>"
    )


def _svg(index: int, panel: Panel) -> str:
    """Draw a panel as inline SVG in the page's colours, its ids unique within the page."""
    figure = _plots.figure_class()(figsize=(_plots.WIDTH, panel.height), layout="constrained")
    import matplotlib

    panel.draw(figure)
    buffer = io.StringIO()
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "dfmerge"}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # Text stays text: the reader's fonts draw it, so what this machine's lack is no matter.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg)
    svg = re.sub(r'\bid="', f'id="c{index}-', svg)
    svg = re.sub(r"url\(#", f"url(#c{index}-", svg)
    svg = re.sub(r'xlink:href="#', f'href="#c{index}-', svg)
    svg = svg.replace(_charts.INK, "currentColor").replace(_charts.GRID, "var(--line)")
    return svg.replace("<svg", f'<svg role="img" aria-labelledby="chart{index}"', 1)


def _trials(result: Mapping[str, Any]) -> str:
    axes, tasks = _axes.axes_of(result), result["tasks"]
    front = set(result.get("pareto") or []) if len(tasks) > 1 else set()
    best = (result.get("best") or {}).get("number")
    head = ["Trial", "Origin", "Score"]
    for axis in axes:
        if axis.model is None:
            head.append("Fisher<br><small>exponent</small>")
        else:
            below = escape(axis.group) if axis.group else words_of(result).dimension
            head.append(f"{escape(axis.model)}<br><small>{below}</small>")
    head += [f"{escape(str(task))}<br><small>score</small>" for task in tasks]
    head.append("Time")
    rows = []
    for trial in result["trials"]:
        state = trial["state"]
        scores = trial.get("scores") or {}
        seconds = [s for s in (trial.get("seconds") or {}).values() if s is not None]
        cells = [
            f"{trial['number']}{' ◆' if trial['number'] in front else ''}",
            escape(str(trial["origin"])),
            _number(trial.get("value")) if state == "complete" else escape(str(state)),
            *(_number(axis.of(trial), 3) for axis in axes),
            *(_number(scores.get(task)) for task in tasks),
            _seconds(sum(seconds)) if seconds else "–",
        ]
        css = "best" if trial["number"] == best else "failed" if state == "failed" else ""
        rows.append((css, cells))
    note = "<p class=sub>◆ no other trial is better on all tasks</p>" if front else ""
    return f"<h2>Trials</h2>{note}" + _table(head, rows, "tall")


def _time(result: Mapping[str, Any]) -> str:
    total = float((result.get("time") or {}).get("total") or 0)
    rows = []
    for phase in words_of(result).phases:
        spent = [(t.get("seconds") or {}).get(phase) for t in result["trials"]]
        seconds = sum(float(s) for s in spent if s is not None)
        share = f"{100 * seconds / total:.1f} %" if total else "–"
        rows.append(("", (phase, _seconds(seconds), share)))
    return "<h2>Time</h2>" + _table(("Phase", "Time", "Share of total"), rows)


def _options(result: Mapping[str, Any]) -> str:
    options = result.get("options") or {}
    rows = [
        ("", (escape(str(k)), f"<code>{escape(_option(v))}</code>"))
        for k, v in sorted(options.items())
    ]
    return "<h2>Options</h2>" + _table(("Option", "Value"), rows) if rows else ""


def _option(value: Any) -> str:
    """An option's value in a line; of a long list its length."""
    text = str(value)
    if len(text) <= _LONGEST_OPTION:
        return text
    if isinstance(value, list):
        return f"{len(value)} entries"
    return text[:_LONGEST_OPTION] + "…"
