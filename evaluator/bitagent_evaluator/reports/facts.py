"""Facts about one result: the numbers of its headline, and where it comes from. Pure."""

from __future__ import annotations

from bitagent_crds.results import ResultsManifest
from bitagent_evaluator.reports.names import is_local
from bitagent_evaluator.reports.results import Results
from bitagent_evaluator.reports.rows import Row, percent
from bitagent_evaluator.reports.task_list import visible
from bitagent_evaluator.scoring.metric import Metric


def headline(results: Results, metric: Metric, overall: Row) -> list[tuple[str, str]]:
    """Return the numbers at the top of a section, and what they are."""
    return [*_of_score(overall, metric), *_of_baseline(results.manifest), *_phases(results, metric)]


def provenance(results: Results) -> list[tuple[str, str]]:
    """Return what was run and how: names and values."""
    manifest = results.manifest
    return [
        ("repository", "none (a local directory)" if is_local(manifest) else visible(manifest.repo)),
        ("commit", manifest.commit or "none"),
        ("weights", manifest.weights_digest or "not established"),
        ("task set", manifest.task_set_digest),
        ("prompt format", manifest.prompt_format),
        *([("thinking", f"{manifest.thinking} (asked of the chat template)")] if manifest.thinking else []),
        ("scorer", manifest.scorer),
        *([("aggregate", "kinds of tasks weigh equally")] if manifest.kinds else []),
        ("answer limit", f"{manifest.max_tokens} tokens"),
        *_bounds(manifest),
        ("device", visible(manifest.device)),
        ("number format", visible(manifest.dtype)),
        ("engine", visible(", ".join(f"{name}={value}" for name, value in manifest.engine.items()))),
        ("responses", manifest.responses_digest),
        ("verdicts", manifest.verdicts_digest),
    ]


def _of_score(overall: Row, metric: Metric) -> list[tuple[str, str]]:
    interval = [(overall.interval, "95 % interval")] if overall.interval else []
    if metric.is_loss:
        return [
            (overall.value, f"mean loss, {metric.unit}"),
            *interval,
            (str(overall.passed), f"of {overall.total} samples measured"),
            (percent(overall.score), "score, exp(-loss)"),
        ]
    return [(overall.value, "score"), *interval, (str(overall.passed), f"of {overall.total} tasks passed")]


def _of_baseline(manifest: ResultsManifest) -> list[tuple[str, str]]:
    found = manifest.baseline
    if found is None:
        return []
    value = percent(float(found.score)) if found.loss is None else found.loss
    return [(value, f"baseline: {visible(found.answer)}")]


def _phases(results: Results, metric: Metric) -> list[tuple[str, str]]:
    seconds = results.seconds
    if seconds is None:
        return []
    engine = "measure" if metric.is_loss else "generate"
    phases = {"load": seconds.load, engine: seconds.generate, "score": seconds.score}
    return [(f"{float(of):.1f} s", f"to {phase}") for phase, of in phases.items()]


def _bounds(manifest: ResultsManifest) -> list[tuple[str, str]]:
    """Return the bounds that the run had, and the tasks that have no answer for any reason."""
    rows = [
        ("thought limit", manifest.max_thought_tokens, "tokens, before the answer"),
        ("prompt limit", manifest.max_prompt_tokens, "tokens"),
        ("budget of answers", manifest.mean_answer_tokens, f"generated tokens for each of {manifest.total} tasks"),
        ("time for answers", manifest.generate_seconds, "s"),
    ]
    found = [(name, f"{value} {unit}") for name, value, unit in rows if value is not None]
    unanswered = ", ".join(f"{count} {cause}" for cause, count in manifest.unanswered.items())
    return [*found, ("unanswered", visible(unanswered))] if unanswered else found
