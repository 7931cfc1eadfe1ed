"""`bitagent-eval compare`: statistics, findings and refusals."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.evaluation import Scorer
from bitagent_crds.results import Verdict
from bitagent_evaluator.cli import compare as verb
from bitagent_evaluator.reports.comparison import Comparison, Finding, compare
from bitagent_evaluator.reports.mcnemar import mcnemar_p
from bitagent_evaluator.reports.reading import ResultsError, read_results, task_score


def verdicts(pattern: str, *, category: str = "simple") -> list[Verdict]:
    """One verdict per character: `+` passed, `-` failed, a digit failed with that many tenths."""
    return [
        Verdict(
            id=f"t{i:03}",
            category=category if i % 2 else "other",
            passed=mark == "+",
            score=1.0 if mark == "+" else 0.0 if mark == "-" else int(mark) / 10,
            error="" if mark == "+" else "value_error:string",
        )
        for i, mark in enumerate(pattern)
    ]


def compared(write: Any, a: str, b: str) -> Comparison:
    return compare(read_results(write("a", verdicts(a))), read_results(write("b", verdicts(b))))


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (5, 5, 1.0),
        (6, 0, 0.03125),
        (8, 1, 0.0390625),
        (1, 8, 0.0390625),
        (15, 5, 0.04138946533203125),
    ],
)
def test_mcnemar_is_the_exact_binomial_test(only_first: int, only_second: int, p: float) -> None:
    assert mcnemar_p(only_first, only_second) == pytest.approx(p, rel=1e-12)


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_mcnemar_is_a_probability_and_symmetric(first: int, second: int) -> None:
    assert 0.0 <= mcnemar_p(first, second) == mcnemar_p(second, first) <= 1.0


@pytest.mark.parametrize(
    ("a", "b", "finding"),
    [
        ("+" * 30, "+" * 15 + "-" * 15, Finding.A_BETTER),
        ("+" * 15 + "-" * 15, "+" * 30, Finding.B_BETTER),
        ("+" * 30, "+" * 30, Finding.NO_DIFFERENCE),
        ("+-" * 15, "-+" * 15, Finding.NO_DIFFERENCE),
        ("+" * 5, "-" * 5, Finding.NO_DIFFERENCE),
        ("+" * 6, "-" * 6, Finding.A_BETTER),
        ("9" * 20, "2" * 20, Finding.A_BETTER),
    ],
    ids=["a", "b", "equal", "even split", "five tasks prove nothing", "six do", "scores without passes"],
)
def test_finding(results_directory: Any, a: str, b: str, finding: Finding) -> None:
    assert compared(results_directory, a, b).finding is finding


def test_numbers(results_directory: Any) -> None:
    found = compared(results_directory, "+++-5", "+--+0")
    whole = found.overall
    assert (whole.total, whole.only_a, whole.only_b, whole.both) == (5, 2, 1, 1)
    assert (whole.a_score, whole.b_score, whole.difference) == pytest.approx((0.7, 0.4, 0.3))
    assert whole.interval[0] <= whole.difference <= whole.interval[1]
    assert whole.p_value == 1.0
    assert {name: contrast.total for name, contrast in found.categories.items()} == {"other": 3, "simple": 2}
    assert [pair.id for pair in found.differing] == ["t001", "t002", "t003", "t004"]


def test_pairing_sees_what_two_intervals_do_not(results_directory: Any) -> None:
    a = read_results(results_directory("a", verdicts("+-" * 50)))
    b = read_results(results_directory("b", verdicts("--" * 7 + "+-" * 43)))
    low, high = compare(a, b).overall.interval
    assert a.manifest.interval is not None and b.manifest.interval is not None
    assert 0.0 < low < 0.07 < high < 0.2, "the paired interval shows the difference"
    assert float(a.manifest.interval[0]) < float(b.manifest.interval[1]), "the models' own intervals overlap"


def test_mcnemar_of_a_large_task_set() -> None:
    assert mcnemar_p(20_000, 19_000) == pytest.approx(4.2e-7, rel=0.05)  # the normal approximation: z = 5.06


def test_same_results_same_interval(results_directory: Any) -> None:
    a, b = results_directory("a", verdicts("+-+" * 9)), results_directory("b", verdicts("++-" * 9))
    assert compare(read_results(a), read_results(b)) == compare(read_results(a), read_results(b))


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"task_set_digest": "sha256:" + "9" * 64}, "different task sets"),
        ({"scorer": Scorer.EXACT_MATCH}, "judged by"),
    ],
    ids=["tasks", "scorer"],
)
def test_what_cannot_be_compared(
    results_directory: Any, capsys: pytest.CaptureFixture[str], other: dict[str, Any], told: str
) -> None:
    a, b = results_directory("a", verdicts("+-")), results_directory("b", verdicts("+-"), **other)
    assert verb.main([str(a), str(b)]) == 2
    assert told in capsys.readouterr().err


def test_results_that_lack_tasks_are_refused(results_directory: Any) -> None:
    a, b = results_directory("a", verdicts("+-+")), results_directory("b", verdicts("+-"))
    with pytest.raises(ResultsError, match="different tasks"):
        compare(read_results(a), read_results(b))


def test_verb_shows_finding_and_differing_tasks(results_directory: Any, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = results_directory("a", verdicts("+" * 20)), results_directory("b", verdicts("+" * 8 + "-" * 12))
    assert verb.main([str(a), str(b), "--limit", "3"]) == 0
    out = capsys.readouterr().out
    assert "A is better" in out and "3 of 12 tasks that differ" in out and "t010" in out and "t011" not in out
    assert verb.main([str(a), str(b), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["finding"] == "A is better" and len(told["differing"]) == 12
    assert told["overall"]["p_value"] == pytest.approx(2 / 2**12)


def changed(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


@pytest.mark.parametrize(
    ("name", "before", "after", "told"),
    [
        ("verdicts.jsonl", '"passed":false', '"passed":true', "was changed"),
        ("responses.jsonl", "", "{}\n", "was changed"),
        ("manifest.json", '"schema_version": 1', '"schema_version": 99', "newer version"),
        ("manifest.json", '"device"', '"gadget"', "device"),
        ("manifest.json", '"total": 2,\n  "categories"', '"total": "many",\n  "categories"', "total"),
    ],
    ids=["verdicts", "responses", "newer", "member missing", "wrong type"],
)
def test_damaged_results_are_refused(results_directory: Any, name: str, before: str, after: str, told: str) -> None:
    directory = results_directory("a", verdicts("+-"))
    changed(directory / name, before, after)
    with pytest.raises(ResultsError, match=told):
        read_results(directory)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('"score": "0.500000"', '"score": "0.900000"', "score is 0.900000, the verdicts come to 0.500000"),
        ('"passed": 1', '"passed": 2', "passed is 2, the verdicts come to 1"),
        ('"total": 2', '"total": 3', "total is 3"),
        ('"passed": 1,\n      "total": 1', '"passed": 0,\n      "total": 1', "categories is"),
        (
            '"leaderboard": {\n    "Non-Live Multiple AST": "0.500000"',
            '"leaderboard": {\n    "Non-Live Multiple AST": "0.900000"',
            "Non-Live Multiple AST is 0.900000",
        ),
    ],
    ids=["score", "passed", "total", "category", "leaderboard"],
)
def test_a_manifest_that_says_other_than_its_verdicts_is_refused(
    results_directory: Any, before: str, after: str, told: str
) -> None:
    given = verdicts("+-")
    if "leaderboard" in before:
        given = [verdict.model_copy(update={"category": "multiple"}) for verdict in given]
    directory = results_directory("a", given)
    changed(directory / "manifest.json", before, after)
    with pytest.raises(ResultsError, match=re.escape(told)):
        read_results(directory)


def test_several_verdicts_on_one_task_are_refused(results_directory: Any) -> None:
    directory = results_directory("a", verdicts("+")[:1] * 3)
    with pytest.raises(ResultsError, match="several verdicts on one task"):
        read_results(directory)


def test_unfinished_results_are_refused(results_directory: Any) -> None:
    directory = results_directory("a", verdicts("+-"))
    (directory / "manifest.json").unlink()
    with pytest.raises(ResultsError, match="holds no complete results"):
        read_results(directory)


@pytest.mark.parametrize(
    ("line", "score"),
    [('"passed":true', 1.0), ('"passed":false', 0.0), ('"passed":false,"score":0.25', 0.25)],
    ids=["old passed", "old failed", "scored"],
)
def test_verdicts_without_a_score_pass_or_fail(line: str, score: float) -> None:
    assert task_score(Verdict.model_validate_json(f'{{"id":"x","category":"c",{line}}}')) == score
