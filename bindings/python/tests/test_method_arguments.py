"""Options and other arguments of every method of the registry, by its own info."""

from __future__ import annotations

import json
import re

import pytest
from method_cases import (
    INFOS,
    VARYING,
    Info,
    assert_laid_out,
    assert_same,
    data_of,
    make,
    numbers,
    others,
    wrong,
)

import dfmerge

every_method = pytest.mark.parametrize("info", INFOS, ids=lambda info: str(info["id"]))
every_option = pytest.mark.parametrize(
    ("info", "option"),
    [(info, option) for info in INFOS for option in info["options"]],
    ids=lambda value: str(value.get("id") or value.get("name")),
)


@every_option
def test_values_that_an_option_refuses(info: Info, option: Info) -> None:
    case = make(info, 15)
    for value in wrong(option, len(case.models)):
        with pytest.raises(dfmerge.ArgumentError, match=f"'{option['name']}'") as refused:
            case.run({option["name"]: value})
        message = str(refused.value)
        shown = re.search(r" is (.+); it takes ", message)
        if shown and not shown[1].startswith("a "):
            assert json.loads(shown[1]) == value, message
        else:
            assert f"method '{info['id']}'" in message


@every_option
def test_other_values_of_an_option(info: Info, option: Info) -> None:
    case = make(info, 16)
    for value in others(option):
        assert_laid_out(case.run({option["name"]: value}), case)


@every_option
def test_an_option_may_depend_on_the_tensor(info: Info, option: Info) -> None:
    if option["type"] not in VARYING or option["default"] is None or not option["varies"]:
        return
    case = make(info, 17)
    name, default = option["name"], option["default"]
    plain = case.run()
    assert_same(case.run({name: [{"filter": "*", "value": default}]}), plain)
    for other in others(option):
        varied = [{"filter": "attn", "value": other}, {"value": default}]
        assert_laid_out(case.run({name: varied}), case)
    if option["type"] in ("number", "number_per_model"):
        assert_same(case.run({name: {"gradient": [default, default]}}), plain)
        ends = numbers(option, 2)
        assert_laid_out(case.run({name: {"gradient": ends}}), case)
    if option["type"] == "number_per_model":
        each = [
            [{"filter": "mlp", "value": number}] for number in numbers(option, len(case.models))
        ]
        assert_laid_out(case.run({name: each}), case)


@every_method
def test_options_that_are_none(info: Info) -> None:
    with pytest.raises(dfmerge.ArgumentError, match="no option 'no_such_option'") as refused:
        make(info).run({"no_such_option": 1})
    assert all(option["name"] in str(refused.value) for option in info["options"])


@every_method
def test_numbers_of_models(info: Info) -> None:
    case = make(info)
    few, many = info["least_models"] - 1, (info["most_models"] or 0) + 1
    for count in [few] * (few > 0) + [many] * (many > 1):
        given = case.replaced(models=[case.models[0]] * count, data=case.data[:1] * count)
        with pytest.raises(dfmerge.ArgumentError, match=f"'{info['id']}' was given {count} model"):
            given.run()
    least = int(info["least_models"])
    fewest = case.replaced(models=case.models[:least], data=case.data[:least])
    assert_laid_out(fewest.run(), fewest)


@every_method
def test_what_a_method_needs_and_does_not_take(info: Info) -> None:
    case = make(info)
    if info["needs_base"]:
        with pytest.raises(dfmerge.ArgumentError, match="needs a base"):
            case.replaced(base=None).run()
    if data_of(info) == "none":
        with pytest.raises(dfmerge.ArgumentError, match="takes no Fisher values"):
            case.replaced(data=[{} for _ in case.models]).run()
    else:
        with pytest.raises(dfmerge.ArgumentError, match="was given 0 sets"):
            case.replaced(data=[]).run()
