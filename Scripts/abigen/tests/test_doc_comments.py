from __future__ import annotations

import pytest
from abigen import doc_comments
from abigen.model import AbigenError, Function, Parameter

PLAIN = ["Does it.", "", "- Parameter x: [in] The number."]


def test_both_parameter_forms_say_the_same() -> None:
    single = doc_comments.parse(
        [
            "Does it.",
            "",
            "- Parameter x: [in] The",
            "  number.",
            "- Parameter y: [out] [nullable] It.",
        ]
    )
    block = doc_comments.parse(
        [
            "Does it.",
            "",
            "- Parameters:",
            "  - x: [in] The",
            "    number.",
            "  - y: [out] [nullable] It.",
        ]
    )
    assert single == block
    assert single.parameters["x"].lines == ["The", "number."]
    assert single.parameters["y"].tags == "[out] [nullable]"


def test_text_after_the_parameters_is_kept() -> None:
    doc = doc_comments.parse([*PLAIN, "- Returns: A", "  count.", "", "More."])
    assert doc.text == ["Does it.", "", "More."]
    assert doc.returns == ["A", "count."]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("- Parameter x: The number.", "exactly one of"),
        ("- Parameter x: [in] [out] The number.", "exactly one of"),
        ("- Parameter x: [in] [borrowed] [owned] It.", "contradicts"),
        ("- Parameter x: [in] [optional] It.", r"unknown tag \[optional\]"),
        ("- Parameter x: [in]", "no description"),
        ("- Throws: always", "returns a status"),
    ],
)
def test_bad_lines_are_errors(line: str, message: str) -> None:
    with pytest.raises(AbigenError, match=message):
        doc_comments.parse(["Does it.", "", line])


def test_a_parameter_documented_twice_is_an_error() -> None:
    with pytest.raises(AbigenError, match="'x' twice"):
        doc_comments.parse([*PLAIN, "- Parameter x: [in] Again."])


@pytest.mark.parametrize(
    ("lines", "types", "returns", "message"),
    [
        ([], {}, "void", "no doc comment"),
        (["- Returns: It."], {}, "int32_t", "no doc comment"),
        (["Does it."], {"x": "int32_t"}, "void", "does not document parameter 'x'"),
        (PLAIN, {}, "void", "'x', which it does not have"),
        (PLAIN, {"x": "int32_t"}, "int32_t", "does not document its result"),
        ([*PLAIN, "- Returns: It."], {"x": "int32_t"}, "void", "returns nothing"),
        (["A.", "- Parameter x: [in] [nullable] B."], {"x": "double"}, "void", "not a pointer"),
        (["A.", "- Parameter x: [out] B."], {"x": "double"}, "void", "cannot be written"),
        (["A.", "- Parameter x: [out] B."], {"x": "const char *"}, "void", "cannot be written"),
        (["A.", "- Parameter x: [out] B."], {"x": "dfm_a *const *"}, "void", "cannot be written"),
    ],
)
def test_a_doc_that_does_not_fit_the_signature(
    lines: list[str], types: dict[str, str], returns: str, message: str
) -> None:
    doc = doc_comments.parse(lines)
    with pytest.raises(AbigenError, match=message):
        doc_comments.check(doc, types, returns)


def test_a_fitting_doc_passes() -> None:
    doc = doc_comments.parse(["A.", "- Parameter x: [out] [owned] [nullable] B."])
    for c_type in ("double *", "void *", "dfm_box **", "const char **"):
        doc_comments.check(doc, {"x": c_type}, "dfm_status")


def test_c_comment_is_plain_and_cannot_end_early() -> None:
    doc = doc_comments.parse(["Reads `a/*.json` */ here.", "", "- Parameter x: [in] One", "  two."])
    function = Function(
        "dfm_x", "dfm_status", [Parameter("x", "int32_t", doc.parameters["x"])], doc
    )
    assert doc_comments.c_comment(function) == [
        "/**",
        " * Reads a/ *.json * / here.",
        " *",
        " * @param x [in] One",
        " *     two.",
        " * @return 0, or one of DFM_ERROR_*; the message is dfm_last_error_message().",
        " */",
    ]
