"""Java and JavaScript syntax."""

from __future__ import annotations

import pytest

from bitagent_crds.task_forms import Language
from bitagent_evaluator.parsing import AnswerError, parse_bfcl

JAVA = {
    "string": ('[f(a="x y", b=5)]', [{"f": {"a": "x y", "b": "5"}}]),
    "class and constructor": ("A.f(a=new int[]{1, 2})", [{"A.f": {"a": "new int[]{1,2}"}}]),
    "no call": ("", {}),
}


@pytest.mark.parametrize(("text", "expected"), JAVA.values(), ids=JAVA)
def test_reads_java(text: str, expected: object) -> None:
    assert parse_bfcl(text, Language.JAVA) == expected


def test_reads_javascript() -> None:
    assert parse_bfcl("[f(a='x', b=[1, 2])]", Language.JAVASCRIPT) == [{"f": {"a": "x", "b": "[1, 2]"}}]


@pytest.mark.parametrize("language", [Language.JAVA, Language.JAVASCRIPT])
@pytest.mark.parametrize(
    ("text", "refused"),
    [("f(a=1, a=2, a=3)", False), ("this is ) not a program (", False), ("f(" + "x" * 9000 + ")", True)],
    ids=["repeated argument", "syntax", "too long"],
)
def test_source_trees_fail_in_one_way(language: Language, text: str, refused: bool) -> None:
    with pytest.raises(AnswerError) as caught:
        parse_bfcl(text, language)
    assert caught.value.refused is refused
