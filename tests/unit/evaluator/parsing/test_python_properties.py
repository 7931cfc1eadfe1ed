"""Python syntax, whatever the text: calls or the documented error, nothing executed, in bounded time."""

from __future__ import annotations

import ast
import keyword
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.schema_strategies import examples

from bitagent_evaluator.parsing import (
    MAX_CHARACTERS,
    AnswerError,
    AnswerSyntax,
    Unreadable,
    is_call_list,
    parse_answer,
    parse_bfcl,
    parse_calls,
)
from bitagent_evaluator.parsing.python import MAX_INTEGER_BITS, fold

if TYPE_CHECKING:
    from tests.unit.evaluator.conftest import Watch

SYMBOLS = (
    "f ( ) [ ] { } a= 1 'x' , : . - ~ ** * + % << | lambda: f'{ }' \"\"\" \\ ` # x None ... := "
    "99999999999999999999 é print( @ __import__('os')"
)
WORDS = ["not ", "if ", "else ", "for x in ", "await ", "yield ", "\n", "\x00"]
FRAGMENTS = st.sampled_from([*SYMBOLS.split(), *WORDS])
WRITTEN = st.lists(FRAGMENTS, max_size=40).map("".join)

NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: not keyword.iskeyword(name))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)
CALLS = st.lists(
    st.tuples(st.lists(NAMES, min_size=1, max_size=3).map(".".join), st.dictionaries(NAMES, VALUES, max_size=4)),
    max_size=4,
)


def read(text: str, nothing_executed: Watch) -> list[Any] | None:
    try:
        with nothing_executed():
            calls: list[Any] = parse_bfcl(text)
    except AnswerError:
        return None
    return calls


parse_bfcl("f(a=1 + 1, b=g(1))")  # imports what decoding needs, before execution is watched


@given(st.text(max_size=60) | WRITTEN | WRITTEN.map(lambda text: f"f(a={text})"))
@examples(180)
def test_any_text_is_calls_or_the_documented_error(nothing_executed: Watch, text: str) -> None:
    decoded = read(text, nothing_executed)
    assert decoded is None or is_call_list(decoded)


@given(CALLS)
@examples(60)
def test_calls_survive_writing_and_reading(calls: list[tuple[str, dict[str, Any]]]) -> None:
    written = ", ".join(
        f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})" for name, arguments in calls
    )
    assert parse_bfcl(f"[{written}]") == [{name: arguments} for name, arguments in calls]


OPERANDS = st.integers(0, 99).map(str) | st.sampled_from(
    ["'ab'", "'%s-%d'", "[1]", "(1, 'x')", "2.5", "{}", "True", "1j", "b'z'"]
)
OPERATORS = st.sampled_from(["+", "-", "*", "/", "//", "%", "|", "&", "^", "<<", ">>", "**", "@"])
EXPRESSIONS = st.recursive(
    OPERANDS,
    lambda inner: (
        st.tuples(inner, OPERATORS, inner).map(lambda parts: f"({' '.join(parts)})")
        | st.tuples(st.sampled_from("+-~"), inner).map(lambda parts: f"({''.join(parts)})")
    ),
    max_leaves=8,
)


@given(EXPRESSIONS)
@examples(120)
def test_folding_agrees_with_python(expression: str) -> None:
    try:
        folded = fold(ast.parse(expression, mode="eval").body)
    except AnswerError as error:
        if not error.refused:
            with pytest.raises((TypeError, ValueError, ArithmeticError)):
                eval(expression)
        return
    value = eval(expression)
    assert type(folded) is type(value)
    assert repr(folded) == repr(value)


ATTACKS = {
    "import": "f(x=1 + __import__('os').system('true'))",
    "walrus": "f(x=1 + (y := __import__('os').system('true')))",
    "lambda": "f(x=lambda: __import__('os').system('true'))",
    "comprehension": "f(x=[__import__('os').system('true') for _ in (1,)])",
    "subscript": "f(x=[1][__import__('os').system('true')])",
    "format string": 'f(x=f\'{__import__("os").system("true")}\')',
    "format string in a sum": "f(x='a' + f'{__import__(\"os\").system(\"true\")}')",
    "positional": "f(__import__('os').system('true'))",
    "default of a lambda": "f(x=1 + (lambda a=__import__('os').system('true'): 1)())",
    "key": "f(x={__import__('os').system('true') + 1: 2})",
    "open": "f(x='' + open('/etc/hostname').read())",
    "exec": "f(x=0 + exec('1'))",
    "inner call": "f(x=exec('1'))",
    "percent": "f(x='%s' % __import__('os').system('true'))",
}


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
def test_nothing_is_executed(nothing_executed: Watch, text: str) -> None:
    read(text, nothing_executed)


def test_the_watch_sees_execution(nothing_executed: Watch) -> None:
    with pytest.raises(AssertionError), nothing_executed():
        eval("1 + 1")


HUGE = f"0x{'f' * 9000}"
"""An integer that Python reads but does not write out."""
UNWRITABLE = [
    f"f(x={HUGE})",
    f"f(x=-{HUGE})",
    f"f(x=g({HUGE}))",
    f"f(x=y[{HUGE}])",
    f"f(x={{{HUGE}: 1}})",
    f"f(x={HUGE} + 1)",
]


@pytest.mark.parametrize("text", UNWRITABLE, ids=lambda text: text.replace(HUGE, "HUGE"))
def test_an_integer_that_cannot_be_written_out_is_refused(text: str) -> None:
    for read_by in (parse_bfcl, lambda text: parse_calls(text, [AnswerSyntax.REWOO, AnswerSyntax.PYTHON])):
        with pytest.raises(AnswerError, match="bits") as error:
            read_by(text)
        assert error.value.refused
    answer = parse_answer(text, list(AnswerSyntax))
    assert (answer.unreadable, answer.calls) == (Unreadable.REFUSED, None)


def test_the_largest_integers_can_be_written_out() -> None:
    largest = f"0b{'1' * MAX_INTEGER_BITS}"
    for text in (f"f(x={largest})", f"f(x={' + '.join([largest] * 4)})", f"f(x=-{largest})"):
        assert repr(parse_bfcl(text))


SIZE = 1_000_000
PIECES = [
    "(",
    "[{(",
    "f(",
    "f(x=",
    "f(**",
    "not ",
    "lambda:",
    "1 if 1 else ",
    "a[b:",
    "{a:",
    "'",
    '"""\n',
    "\\\n",
    "`",
    "#",
    "]",
    ",",
    "f(x=1),",
    "prose and more ",
    "é",
    "\t",
]
GROWING = {
    **{f"{piece!r} repeated": piece * (MAX_CHARACTERS // len(piece)) for piece in PIECES},
    "numbers": "f(x=[" + "1," * (MAX_CHARACTERS // 2 - 4) + "])",
    "keywords": "f(" + "a=1," * (MAX_CHARACTERS // 4 - 4) + ")",
    "attributes": "f" + ".a" * (MAX_CHARACTERS // 2 - 8) + "(x=1)",
    "calls on calls": "f" + "()" * (MAX_CHARACTERS // 2 - 8) + "(x=1)",
    "comparison": "f(x=" + "1<" * (MAX_CHARACTERS // 2 - 8) + "1)",
    "format fields": "f(x=f'" + "{a}" * (MAX_CHARACTERS // 3 - 8) + "')",
    "products": "f(x=" + "*".join(["9" * 4000] * 16) + ")",
    "a megabyte of digits": "f(x=" + "9" * SIZE + ")",
    "a megabyte of calls": "f(x=1)," * (SIZE // 7),
    "a megabyte of spaces": "f(x=1" + " " * SIZE + ")",
    "a megabyte of brackets": "[" * SIZE,
}


@pytest.mark.parametrize("text", GROWING.values(), ids=GROWING)
def test_long_answers_take_bounded_time(nothing_executed: Watch, text: str) -> None:
    start = time.process_time()
    read(text, nothing_executed)
    assert time.process_time() - start < 20  # the longest takes one on a slow machine
