"""Comparisons of two models by score and by loss, and the order of several."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import Aggregation, BuiltinScorer, LossNormalization, LossParameters
from bitagent_crds.jobs import EvaluateSummary
from bitagent_crds.results import Verdict
from bitagent_crds.task_set import Baseline
from bitagent_evaluator.reports.comparison import Comparison, ComparisonFinding, by_rank, compare
from bitagent_evaluator.reports.results import ResultsError, read_results

A, B, NEITHER = ComparisonFinding.A_BETTER, ComparisonFinding.B_BETTER, ComparisonFinding.NO_DIFFERENCE
INF = math.inf


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


def losses(values: list[float]) -> list[Verdict]:
    """One verdict of scorer Loss per value."""
    return [
        Verdict(
            id=f"t{i:02}",
            category="odd" if i % 2 else "even",
            passed=math.isfinite(value),
            score=math.exp(-value),
            loss=value,
        )
        for i, value in enumerate(values)
    ]


def compared(write: Any, a: str, b: str) -> Comparison:
    return compare(read_results(write("a", verdicts(a))), read_results(write("b", verdicts(b))))


def compared_losses(write: Any, a: list[float], b: list[float]) -> Comparison:
    return compare(
        read_results(write("a", losses(a), scorer=BuiltinScorer.LOSS)),
        read_results(write("b", losses(b), scorer=BuiltinScorer.LOSS)),
    )


@pytest.mark.parametrize(
    ("a", "b", "finding"),
    [
        ("+" * 30, "+" * 15 + "-" * 15, A),
        ("+" * 15 + "-" * 15, "+" * 30, B),
        ("+" * 30, "+" * 30, NEITHER),
        ("+-" * 15, "-+" * 15, NEITHER),
        ("+" * 5, "-" * 5, NEITHER),
        ("+" * 6, "-" * 6, A),
        ("9" * 20, "2" * 20, A),
    ],
    ids=["a", "b", "equal", "even split", "five tasks prove nothing", "six do", "scores without passes"],
)
def test_finding_by_score(results_directory: Any, a: str, b: str, finding: ComparisonFinding) -> None:
    assert compared(results_directory, a, b).finding is finding


def test_numbers_by_score(results_directory: Any) -> None:
    found = compared(results_directory, "+++-5", "+--+0")
    whole = found.overall
    assert (whole.total, whole.test) == (5, {"only_a": 2, "only_b": 1, "both": 1, "p_value": 1.0})
    assert (whole.a, whole.b, whole.difference) == pytest.approx((0.7, 0.4, 0.3))
    assert whole.interval is not None and whole.interval[0] <= whole.difference <= whole.interval[1]
    assert {name: contrast.total for name, contrast in found.categories.items()} == {"other": 3, "simple": 2}
    assert [task.id for task in found.differing] == ["t001", "t002", "t003", "t004"]
    assert found.batches is None


def test_pairing_sees_what_two_intervals_do_not(results_directory: Any) -> None:
    a = read_results(results_directory("a", verdicts("+-" * 50)))
    b = read_results(results_directory("b", verdicts("--" * 7 + "+-" * 43)))
    interval = compare(a, b).overall.interval
    assert interval is not None
    low, high = interval
    assert a.manifest.interval is not None and b.manifest.interval is not None
    assert 0.0 < low < 0.07 < high < 0.2, "the paired interval shows the difference"
    assert float(a.manifest.interval[0]) < float(b.manifest.interval[1]), "the models' own intervals overlap"


def test_same_results_same_interval(results_directory: Any) -> None:
    a, b = results_directory("a", verdicts("+-+" * 9)), results_directory("b", verdicts("++-" * 9))
    assert compare(read_results(a), read_results(b)) == compare(read_results(a), read_results(b))


BASE = [0.5 + 0.1 * (i % 7) for i in range(40)]


@pytest.mark.parametrize(
    ("a", "b", "finding"),
    [
        pytest.param(BASE, [loss + 0.01 for loss in BASE], A, id="a little lower everywhere"),
        pytest.param([loss + 0.01 for loss in BASE], BASE, B, id="a little higher everywhere"),
        pytest.param(BASE, BASE, NEITHER, id="equal"),
        pytest.param(BASE, BASE[1:] + BASE[:1], NEITHER, id="up and down"),
        pytest.param(BASE[:5], [loss + 1 for loss in BASE[:5]], NEITHER, id="too few samples"),
        pytest.param([*BASE, INF], [*BASE, 9.0], B, id="one failed on a sample"),
        pytest.param([*BASE, INF], [INF, *BASE], NEITHER, id="both failed"),
    ],
)
def test_finding_by_loss(results_directory: Any, a: list[float], b: list[float], finding: ComparisonFinding) -> None:
    assert compared_losses(results_directory, a, b).finding is finding


def test_numbers_by_loss(results_directory: Any) -> None:
    found = compared_losses(results_directory, [1.0, 2.0, 3.0, 4.0], [1.5, 2.0, 2.0, 6.0])
    overall = found.overall
    assert (overall.total, overall.a, overall.b, overall.difference) == (4, 2.5, 2.875, -0.375)
    assert overall.test == {"lower_a": 2, "lower_b": 1}
    assert overall.interval is not None and overall.interval[0] < -0.375 < overall.interval[1]
    assert {name: contrast.difference for name, contrast in found.categories.items()} == {"even": 0.25, "odd": -1.0}
    assert found.batches == (2, 1)
    assert [task.id for task in found.differing] == ["t03", "t02", "t00"], "the largest difference first"


@pytest.mark.parametrize(("b", "difference"), [(1.0, INF), (INF, 0.0)])
def test_infinite_losses_have_no_interval(results_directory: Any, b: float, difference: float) -> None:
    overall = compared_losses(results_directory, [*BASE, INF], [*BASE, b]).overall
    assert (overall.a, overall.difference, overall.interval) == (INF, difference, None)


def test_json_names_the_values_by_the_metric(results_directory: Any) -> None:
    by_score = compared(results_directory, "+", "-").to_json()
    assert list(by_score) == ["finding", "overall", "categories", "differing"]
    assert list(by_score["overall"]) == [
        "total", "a_score", "b_score", "difference", "interval", "only_a", "only_b", "both", "p_value",
    ]  # fmt: skip
    assert by_score["differing"] == [
        {"id": "t000", "category": "other", "a_score": 1.0, "b_score": 0.0, "a_passed": True, "b_passed": False}
    ]


def test_json_of_losses(results_directory: Any) -> None:
    by_loss = compared_losses(results_directory, [1.0], [2.0]).to_json()
    assert list(by_loss) == ["finding", "overall", "categories", "batches_a", "batches_b", "differing"]
    assert list(by_loss["overall"]) == ["total", "a_loss", "b_loss", "difference", "interval", "lower_a", "lower_b"]
    assert (by_loss["batches_a"], by_loss["batches_b"]) == (1, 0)
    assert by_loss["differing"] == [{"id": "t00", "category": "even", "a_loss": 1.0, "b_loss": 2.0}]


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"task_set_digest": "sha256:" + "9" * 64}, "different task sets"),
        ({"scorer": BuiltinScorer.EXACT_MATCH}, "one scorer"),
        ({"scorer": BuiltinScorer.LOSS}, "one scorer"),
    ],
    ids=["tasks", "scorer", "losses with scores"],
)
def test_results_under_other_rules_are_refused(results_directory: Any, other: dict[str, Any], why: str) -> None:
    a = read_results(results_directory("a", verdicts("+-")))
    b = read_results(results_directory("b", verdicts("+-"), **other))
    with pytest.raises(ResultsError, match=why):
        compare(a, b)


def test_results_that_lack_tasks_are_refused(results_directory: Any) -> None:
    a, b = results_directory("a", verdicts("+-+")), results_directory("b", verdicts("+-"))
    with pytest.raises(ResultsError, match="different tasks"):
        compare(read_results(a), read_results(b))


def measured_by(write: Any, name: str, loss: LossParameters) -> Path:
    """Results of losses that were measured by these parameters."""
    directory: Path = write(name, losses(BASE), scorer=BuiltinScorer.LOSS)
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["loss_parameters"] = loss.settled().model_dump(mode="json")
    (directory / "manifest.json").write_text(json.dumps(manifest))
    return directory


PER_TOKEN = LossNormalization.TOKEN


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        pytest.param(
            LossParameters(normalization=PER_TOKEN),
            LossParameters(normalization=PER_TOKEN, sequence_length=64),
            r"--sequence-length 2048.* 64",
            id="cut at other tokens",
        ),
        pytest.param(LossParameters(), LossParameters(reference_bytes=64), r"bytes 4096.* 64", id="cut at other bytes"),
        pytest.param(
            LossParameters(), LossParameters(normalization=PER_TOKEN), "per byte.*per token", id="other units"
        ),
    ],
)
def test_losses_that_were_measured_otherwise_are_refused(
    results_directory: Any, one: LossParameters, other: LossParameters, message: str
) -> None:
    a, b = (read_results(measured_by(results_directory, name, loss)) for name, loss in (("a", one), ("b", other)))
    with pytest.raises(ResultsError, match=message):
        compare(a, b)


def of_kinds(passed: str, kinds: str) -> list[Verdict]:
    return [verdict.model_copy(update={"kind": kind}) for verdict, kind in zip(verdicts(passed), kinds, strict=True)]


def test_kinds_weigh_equally_where_they_do_in_the_scores(results_directory: Any) -> None:
    """A passes the one task of a kind and B the eight of another: equal by kinds, far apart by tasks."""
    one, other = of_kinds("+--------", "abbbbbbbb"), of_kinds("-++++++++", "abbbbbbbb")
    kinds = {"aggregation": Aggregation.KINDS}
    a, b = (read_results(results_directory(name, of, **kinds)) for name, of in (("a", one), ("b", other)))
    found = compare(a, b)
    assert (found.overall.a, found.overall.b, found.finding) == (0.5, 0.5, ComparisonFinding.NO_DIFFERENCE)
    mean = read_results(results_directory("mean", other))
    with pytest.raises(ResultsError, match="weigh equally"):
        compare(a, mean)


def test_the_best_constant_answer_is_beside_the_comparison(results_directory: Any) -> None:
    best = Baseline(scorer="Bfcl", answer="an empty answer", score="0.250000")
    a = read_results(results_directory("a", verdicts("+-+-"), baseline=best))
    b = read_results(results_directory("b", verdicts("--+-")))
    assert compare(a, b).to_json()["baseline"] == "0.250000"
    assert "baseline" not in compare(b, b).to_json()


def summary(score: str | None, loss: str | None = None) -> EvaluateSummary:
    return EvaluateSummary(reason=Reason.EVALUATED, score=score, loss=loss)


@pytest.mark.parametrize(
    ("models", "order"),
    [
        pytest.param(
            {
                "five": ("0.500000", None),
                "none": (None, None),
                "also five": ("0.500000", None),
                "zero": ("0.000000", None),
            },
            [(1, "also five"), (1, "five"), (3, "zero"), (None, "none")],
            id="equal scores by name, no score last",
        ),
        pytest.param(
            {"worse": ("0.000000", "20.000000"), "better": ("0.000000", "16.000000"), "fault": ("0.000000", None)},
            [(1, "better"), (2, "worse"), (3, "fault")],
            id="losses where there are any",
        ),
        pytest.param({}, [], id="nothing"),
    ],
)
def test_by_rank(models: dict[str, tuple[str | None, str | None]], order: list[tuple[int | None, str]]) -> None:
    assert by_rank(list(models), result=lambda name: summary(*models[name]), name=lambda name: name) == order
