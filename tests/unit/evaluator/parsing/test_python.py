"""Python syntax: which text is which calls, which is none, and how large a value its arithmetic may have."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_evaluator.parsing import MAX_CHARACTERS, AnswerError, parse_bfcl
from bitagent_evaluator.parsing.python import MAX_FOLDED_BITS, MAX_FOLDED_SIZE


def calls(**arguments: Any) -> list[dict[str, Any]]:
    return [{"f": arguments}]


READ = {
    "plain": ("[f(a=1, b='x')]", calls(a=1, b="x")),
    "no brackets": ("f(a=1)", calls(a=1)),
    "only the left bracket": ("[f(a=1)", calls(a=1)),
    "only the right bracket": ("f(a=1)]", calls(a=1)),
    "spaces and newlines around": ("\n  [f(a=1)] \n", calls(a=1)),
    "bare fence": ("```\n[f(a=1)]\n```", calls(a=1)),
    "several": ("[f(a=1), g.h(b=2)]", [{"f": {"a": 1}}, {"g.h": {"b": 2}}]),
    "no arguments": ("[f()]", calls()),
    "empty": ("", []),
    "empty list": ("[]", []),
    "dotted name": ("a.b.c(x=1)", [{"a.b.c": {"x": 1}}]),
    "name on a call": ("a().b(x=1)", [{"b": {"x": 1}}]),
    "a call without a name": ("f()(x=1)", [{"": {"x": 1}}]),
    "positional arguments are dropped": ("f(1, __import__('os').system('true'), *rest, a=2)", calls(a=2)),
    "last duplicate wins": ("f(a=1, a=2)", calls(a=2)),
    "mapping argument": ("f(**options)", [{"f": {None: "options"}}]),
    "constants": (
        "f(a=True, b=None, c=1.5, d=1e3, e=b'x', g=...)",
        calls(a=True, b=None, c=1.5, d=1000.0, e=b"x", g="..."),
    ),
    "bare name": ("f(city=Paris)", calls(city="Paris")),
    "containers": ("f(a=[1, [2]], b=(1, 2), c={'k': [1], 2: x})", calls(a=[1, [2]], b=(1, 2), c={"k": [1], 2: "x"})),
    "negative": ("f(a=-5, b=-2.5)", calls(a=-5, b=-2.5)),
    "any sign negates": ("f(a=+5, b=~5, c=not True)", calls(a=-5, b=-5, c=-1)),
    "inner call without keywords is its text": ("f(a=g(1,  'x'))", calls(a="g(1, 'x')")),
    "inner call with keywords is a dict": ("f(a=g(x=1))", calls(a={"g": {"x": 1}})),
    "index is its text": ("f(a=data['k'], b=x.y[0])", calls(a="data['k']", b="x.y[0]")),
    "adjacent strings": ("f(a='New ' 'York')", calls(a="New York")),
    "comment": ("[f(a=1) # note\n]", calls(a=1)),
}


@pytest.mark.parametrize(("text", "expected"), READ.values(), ids=READ)
def test_reads(text: str, expected: list[dict[str, Any]]) -> None:
    assert parse_bfcl(text) == expected


FOLDED = {
    "sum": ("150 + 0", 150),
    "product and quotient": ("2*5/2", 5.0),
    "date without quotes": ("2023-5-12", 2006),
    "strings": ("'New ' + 'York'", "New York"),
    "repeated string": ("'ab' * 2", "abab"),
    "lists": ("[1] + [2, 3]", [1, 2, 3]),
    "format": ("'%s-%d' % ('a', 3)", "a-3"),
    "power": ("10**2", 100),
    "root": ("2 ** 0.5", 2**0.5),
    "shift": ("1 << 3", 8),
    "signs mean what they say inside": ("~5 + +1", -5),
    "merged dicts": ("{'a': 1} | {'b': 2}", {"a": 1, "b": 2}),
    "truth": ("True + True", 2),
    "complex": ("2 + 3j", 2 + 3j),
}


@pytest.mark.parametrize(("expression", "value"), FOLDED.values(), ids=FOLDED)
def test_folds_arithmetic_on_literals(expression: str, value: object) -> None:
    found = parse_bfcl(f"f(x={expression})")
    assert found == calls(x=value)
    assert type(found[0]["f"]["x"]) is type(value)


NOT_CALLS = [
    "I cannot help with that.",
    "f",
    "[f]",
    "[1, 2]",
    "{}",
    "[[f(a=1)]]",
    "[f(a=1)], [g(b=2)]",
    "```python\n[f(a=1)]\n```",
    "\t[f(a=1)]\n\t]",
    "x = f(a=1)",
    "f(a=1); g(b=2)",
    "f(a=1) g(b=2)",
    "f(a=[x for x in y])",
    "f(a={1, 2})",
    "f(a=f'x')",
    "f(a=lambda: 1)",
    "f(a=Enum.X)",
    "f(a=1 if True else 2)",
    "f(a=1 == 1)",
    "f(a=True and False)",
    "f(a=[*b])",
    "f(a={**b})",
    "f(a={[1]: 2})",
    "f(a=-'x')",
    "f(a=-x)",
    "f(a=x + 1)",
    "f(a=now() + 1)",
    "f(a=datetime.now().year[0] - 1)",
    "f(a=[1, *b] + [2])",
    "f(a='a' / 2)",
    "f(a=1 / 0)",
    "f(a=10.0 ** 400)",
    "f(a=b @ c)",
    "f(a=012)",
    "f(a=1",
    "f(class=1)",
    "f(a=9" + "9" * 5000 + ")",
    "f(a='\x00')",
    "f(a='\ud800')",
    '{"name": "f", "arguments": {}}',
]


@pytest.mark.parametrize("text", NOT_CALLS, ids=[repr(text)[:40] for text in NOT_CALLS])
def test_fails_where_the_official_decoder_fails(text: str) -> None:
    with pytest.raises(AnswerError) as caught:
        parse_bfcl(text)
    assert not caught.value.refused


REFUSED = [
    "f(a=__import__('os').getpid() + 1)",
    "f(a=(lambda: 1)() + 1)",
    "f(a='x'.upper() + 'y')",
    "f(a=1 + max(1, 2))",
    "f(a=().__class__ + 1)",
    "f(a=len + 1)",
    "f(a=[1][0] + 1)",
    "f(a=9 ** 9 ** 9)",
    "f(a=2 ** -9999999)",
    "f(a=1 << 10 ** 9)",
    "f(a='a' * 10 ** 9)",
    "f(a=10 ** 9 * 'a')",
    "f(a=[[1] * 9999] * 9999)",
    "f(a='%999999999d' % 1)",
    "f(a='%*d' % (999999999, 1))",
    "f(a=b'%999999999d' % 1)",
    "f(a=" + "1+" * 5000 + "1)",
    "f(a=" + "-" * 5000 + "1)",
    "f(a=" + "[" * 180 + "]" * 180 + ")",
    "f" + ".a" * 5000 + "(x=1)",
    "f(a='" + "x" * MAX_CHARACTERS + "')",
]


@pytest.mark.parametrize("text", REFUSED, ids=[text[:40] for text in REFUSED])
def test_refuses_what_needs_execution_or_is_too_large(text: str) -> None:
    with pytest.raises(AnswerError) as caught:
        parse_bfcl(text)
    assert caught.value.refused


def test_warnings_about_the_text_are_not_shown(recwarn: pytest.WarningsRecorder) -> None:
    assert parse_bfcl(r"f(a='\d')") == calls(a=r"\d")
    assert list(recwarn) == []


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param(f"2 ** {MAX_FOLDED_BITS // 2}", id="power"),
        pytest.param(f"1 << {MAX_FOLDED_BITS - 1}", id="shift"),
        pytest.param(f"'x' * {MAX_FOLDED_SIZE}", id="text"),
        pytest.param(f"{MAX_FOLDED_SIZE} * 'x'", id="text, turned round"),
        pytest.param(f"'x' * {MAX_FOLDED_SIZE - 1} + 'x'", id="sum"),
    ],
)
def test_a_value_up_to_the_limit_is_folded(expression: str) -> None:
    assert parse_bfcl(f"f(a={expression})")


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param(f"2 ** {MAX_FOLDED_BITS // 2 + 1}", id="power"),
        pytest.param(f"1 << {MAX_FOLDED_BITS}", id="shift"),
        pytest.param(f"'x' * {MAX_FOLDED_SIZE + 1}", id="text"),
        pytest.param(f"'x' * {MAX_FOLDED_SIZE} + 'x'", id="a sum of texts that are small enough"),
        pytest.param(
            " + ".join([f"'x' * {MAX_FOLDED_SIZE}"] * 200), id="a long sum: 12 characters each make 16 thousand"
        ),
        pytest.param(f"'%s%s' % ('x' * {MAX_FOLDED_SIZE - 2}, 'xyz')", id="format"),
        pytest.param(
            f"[1] * {MAX_FOLDED_SIZE // 2} + [2] * {MAX_FOLDED_SIZE // 2}", id="lists: each counts one itself"
        ),
    ],
)
def test_a_value_beyond_the_limit_is_refused(expression: str) -> None:
    with pytest.raises(AnswerError) as caught:
        parse_bfcl(f"f(a={expression})")
    assert caught.value.refused
