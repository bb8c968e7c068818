"""The HTML report and the figure: complete, self-contained, safe for any name."""

from __future__ import annotations

import copy
import math
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

from report_pages import Page, result

from dfmerge._report import plot, render, report

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onload='x",
    r"$\frac{$",
    "a & b &amp; c",
    "line\nbreak\x00",
    "]]></style></svg>",
    "\udc80 é 名前",
]


def test_page_is_self_contained_and_complete(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    report(result(["a", "b"], ["t", "u"], 12), path)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    text = path.read_text("utf-8")
    page = Page(text)
    assert not re.search(r"https?://|@import|\bsrc\s*=|javascript:", text)
    assert not {"script", "link", "img", "iframe", "object", "image"} & set(page.tags)
    for _, name, value in page.attributes:
        assert not name.startswith("on")
        if name in ("href", "xlink:href"):
            assert value.startswith("#")
    assert page.tags.count("svg") == 7
    for words in (
        "Best score",
        "Over averaging +0.0400",
        "Ended all trials made",
        "expected: 0.8000 to 0.9500",
        "Outside your callbacks 0.25 %",
        "a journal line was repaired",
        "Total time 1 h 6 min",
        "preset default",
        "DFMerge 0.1.0",
    ):
        assert words in page.text
    rows = [tag for tag in page.tags if tag == "tr"]
    assert len(rows) > 12


def test_ids_are_unique_and_every_reference_resolves() -> None:
    page = Page(render(result(["a", "b"], ["t"], 6)))
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    wanted = {value[1:] for _, name, value in page.attributes if name == "href"}
    wanted |= {
        found for _, _, value in page.attributes for found in re.findall(r"url\(#([^)]*)\)", value)
    }
    wanted |= {value for _, name, value in page.attributes if name == "aria-labelledby"}
    assert wanted
    assert wanted <= set(ids)


def test_hostile_names_are_only_text(tmp_path: Path) -> None:
    case = result(HOSTILE, HOSTILE, 5)
    case["warnings"] = HOSTILE
    case["options"] = {name: name for name in HOSTILE}
    case["best"]["by"] = case["library"] = case["trials"][0]["origin"] = HOSTILE[0]
    path = tmp_path / "report.html"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report(case, path)
    page = Page(path.read_text("utf-8"))
    assert not {"script", "img"} & set(page.tags)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in page.text
    assert r"$\frac{$" in page.text
    assert "a & b &amp; c" in page.text
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        plot(case).canvas.draw()


def test_failed_trials_are_shown_and_left_out_of_the_best() -> None:
    case = result(["a"], ["t"], 8)
    for number, value in ((0, None), (5, math.nan)):
        case["trials"][number].update(state="failed", value=value, scores=None, seconds={})
    page = Page(render(case))
    assert "2 failed" in page.text
    assert page.text.count(" failed") >= 3
    assert len([v for t, n, v in page.attributes if (t, n, v) == ("tr", "class", "failed")]) == 2
    assert "nan" not in page.text.lower()


def test_a_search_without_any_completed_trial() -> None:
    case = result(["a"], ["t"], 2)
    for trial in case["trials"]:
        trial.update(state="failed", value=None, scores=None)
    case.update(best=None, slices=[], length_scales={}, importance={}, margin=None)
    page = Page(render(case))
    assert "No trial was completed." in page.text
    assert page.tags.count("svg") == 2


@pytest.mark.parametrize("trials", [0, 1])
def test_few_trials(trials: int) -> None:
    case = result(["a", "b"], ["t"], max(trials, 1))
    if trials == 0:
        case.update(trials=[], best=None, slices=[], length_scales={}, importance={}, margin=None)
        case.update(pareto=[])
    Page(render(case))
    plot(case).canvas.draw()


def test_without_slices_exponent_or_task_scores() -> None:
    case = result(["a", "b"], ["t"], 6)
    case.update(slices=[], length_scales={}, tasks=[], warnings=[], time={}, options={})
    case.update(importance={}, margin={}, pareto=None)
    for point in [*case["trials"], case["best"]]:
        point.update(scores=None, exponent=None)
    page = Page(render(case))
    assert page.tags.count("svg") == 2
    assert "exponent" not in page.text
    assert "Options" not in page.text


def test_a_fixed_exponent_is_no_dimension_of_the_charts() -> None:
    case = result(["a"], ["t"], 4, exponent=False)
    for point in [*case["trials"], case["best"]]:
        point["exponent"] = 1.0
    page = Page(render(case))
    assert "Fisher exponent 1.0000" in page.text
    assert page.text.count("exponent") == 1


def test_figure_has_a_panel_for_each_chart_and_the_result_is_untouched() -> None:
    case = result(["a", "b"], ["t"], 6)
    before = copy.deepcopy(case)
    figure = plot(case)
    figure.canvas.draw()
    titles = [part.get_suptitle() for part in figure.subfigs]
    assert titles == [
        "Progress",
        "Margin over merging without a search",
        "Coefficients by trial",
        "Scores by task",
        "What the search has learnt",
        "Importance",
    ]
    render(case)
    assert case == before


def test_groups_floors_and_first_stages_are_shown() -> None:
    groups = ["early <b>", "late", "a-very-long-name-of-a-group", "rest"]
    case = result(["a" * 60, "b", "c", "d"], ["t", "u", "v"], 9, groups=groups)
    case["options"]["floors"] = {"t": 0.95}
    case["best"]["feasible"] = False
    case["trials"][5].update(state="subset", value=None, scores=None, mean=None, sd=None)
    # A collapsed trial must not flatten the charts.
    case["trials"][6].update(value=-50.0, scores=dict.fromkeys("tuv", -50.0))
    case.update(ended="improvement", observations=7)
    case["options"]["observations"] = [{"a": 0.25}] * 70
    page = Page(render(case))
    for words in (
        "Chosen coefficients by group",
        "early <b>",
        "below a floor",
        "1 on the subset only",
        "little left to gain",
        "7 observations",
        "70 entries",
        "Shown are the 12 most important of 17 dimensions.",
        "Floor",
    ):
        assert words in page.text, words
    assert "b" not in page.tags
    assert ("tr", "class", "failed") in page.attributes
    figure = plot(case)
    figure.canvas.draw()
    progress = figure.subfigs[0].axes[0]
    assert progress.get_ylim()[0] > 0.5


@pytest.mark.parametrize("tasks", [2, 3, 12])
def test_the_front_of_any_number_of_tasks_is_drawn(tasks: int) -> None:
    case = result(["a"], [f"task {i}" for i in range(tasks)], 7)
    case["options"]["floors"] = {"task 0": 0.85, "task 1": 0.8}
    assert "Between the tasks" in Page(render(case)).text
    case["pareto"] = []
    assert "Between the tasks" not in Page(render(case)).text


def test_one_task_has_no_front() -> None:
    case = result(["a"], ["t"], 7)
    case["pareto"] = [6]
    text = Page(render(case)).text
    assert "Between the tasks" not in text and "◆" not in text


def test_dimensions_of_different_intervals_have_their_own_axes() -> None:
    case = result(["a", "b"], ["t"], 7, exponent=False)

    def heights() -> list[tuple[float, float]]:
        figure = plot(case)
        (part,) = [p for p in figure.subfigs if p.get_suptitle() == "Coefficients by trial"]
        return [axes.get_ylim() for axes in part.axes]

    first, second = heights()
    assert first == second
    case["options"]["bounds"] = {"a": [0, 1], "b": [0, 200]}
    first, second = heights()
    assert first[1] < 2 and second[1] > 200
    del case["options"]["bounds"]
    ends = {"a": (0, 1), "b": (-5, 5)}
    case["options"]["parameters"] = [
        {"name": name, "low": low, "high": high} for name, (low, high) in ends.items()
    ]
    assert heights()[1] == pytest.approx((-6.2, 6.2))


def test_numbers_of_any_size_are_short() -> None:
    case = result(["a", "b"], ["t"], 6)
    case["trials"][2].update(value=-1.7e308, scores={"t": -1.7e308})
    case["trials"][3]["coefficients"]["a"] = 2.5e-5
    case["margin"]["average"].update(difference=3e20, interval=[2e20, 4e20])
    text = Page(render(case)).text
    for words in ("-1.7e+308", "2.5e-05", "+3e+20 +2e+20 to +4e+20"):
        assert words in text, words
    assert not re.search(r"\d{20}", text)


def test_the_axis_of_the_importance_ends_at_1() -> None:
    case = result(["a", "b"], ["t"], 6, exponent=False)
    case["importance"] = {"a": 0.999, "b": 0.001}
    assert plot(case).subfigs[-1].axes[0].get_xlim() == (0, 1)


def test_equal_results_give_equal_pages() -> None:
    assert render(result(["a"], ["t"], 5)) == render(result(["a"], ["t"], 5))


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="format 1; this version reads format 2"):
        report({"format": 1}, tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_failure_to_write_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(OSError, match=r"report\.html"):
        report(result(["a"], ["t"], 2), tmp_path / "report.html")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"the folder '.*nowhere' of the report"):
        report(result(["a"], ["t"], 2), tmp_path / "nowhere" / "report.html")


def test_missing_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for draw in (plot, render):
        with pytest.raises(ImportError, match=r"pip install 'dfmerge\[plots\]'"):
            draw(result(["a"], ["t"], 2))


def test_module_is_importable_without_matplotlib_and_leaves_pyplot_alone() -> None:
    code = (
        "import sys, dfmerge._report as r; assert 'matplotlib' not in sys.modules;"
        "r.plot({'format': 2, 'models': ['a'], 'tasks': [], 'trials': []});"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
