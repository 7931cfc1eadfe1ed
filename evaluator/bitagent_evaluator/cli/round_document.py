"""What a round asks of every model, read from an EvalRound or from the manifest of a result."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from bitagent_crds.evalround import EvalRoundSpec
from bitagent_crds.evaluation import RunSpec
from bitagent_crds.fields import Digest
from bitagent_crds.minermodel import EngineChoices
from bitagent_crds.model_result import ResultState
from bitagent_crds.results import ResultsManifest
from bitagent_crds.task_forms import BuiltinPromptFormat
from bitagent_crds.tasks import Tasks
from bitagent_evaluator.cli.documents import DocumentError
from bitagent_evaluator.support.faults import first_error

_NOT_BUILT = "sha256:" + "0" * 64
"""Digest in place of that of a task set."""
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Entry:
    """What a round has frozen of one model."""

    model: str
    """Name of its MinerModel."""
    repo: str
    commit: str | None
    prompt_format: str | None
    engine: EngineChoices
    refused: str = ""
    """Why the round has not admitted it; empty if it has, or has not decided."""


@dataclass(frozen=True)
class Asked:
    """What a round, or a result, asks of every model."""

    what: str
    """Its name in words."""
    name: str
    """Its name."""
    tasks: Tasks
    run: RunSpec
    """Rules of the run; model and task set are not those of any run."""
    digest: Digest | None = None
    """Digest of the task set, once it was built."""
    limit: int | None = None
    """Number of tasks that were asked, if not all were."""
    entries: tuple[Entry, ...] = ()
    """Models of a round."""
    admission: str = ""
    """Conditions of admission as JSON; empty without any."""
    notes: tuple[str, ...] = ()


def asked_by(document: Any, what: str, *, name: str | None = None) -> Asked:
    """Return what an EvalRound or a results manifest asks; `name` is that of one of several. Raises DocumentError."""
    rounds = [found for found in _flat(document) if isinstance(found, Mapping) and _is_round(found)]
    names = ", ".join(map(_name_of, rounds)) or "none"
    if name is not None:
        rounds = [found for found in rounds if _name_of(found) == name]
        if not rounds:
            raise DocumentError(f"{what} has no EvalRound {name}; there are: {names}")
    if len(rounds) > 1:
        raise DocumentError(f"{what} has {len(rounds)} EvalRounds, {names}: choose one with --name")
    if rounds:
        return _asked_by_round(rounds[0], what)
    if isinstance(document, Mapping) and "verdicts_digest" in document:
        return _asked_by_result(document, what)
    kind = document.get("kind") if isinstance(document, Mapping) else None
    found = f"it is a {kind}" if isinstance(kind, str) else "it is neither"
    if kind == "Validator":
        found += ", whose rounds `kubectl get er` lists"
    raise DocumentError(f"{what}: expected an EvalRound, or the manifest.json of a result; {found}")


def _flat(document: Any) -> Iterable[Any]:
    """Yield the documents of a list of YAML documents, and the items of a List of Kubernetes."""
    for part in document if isinstance(document, list) else [document]:
        items = part.get("items") if isinstance(part, Mapping) else None
        yield from items if isinstance(items, list) else [part]


def _is_round(document: Mapping[str, Any]) -> bool:
    return document.get("kind") == "EvalRound" or (
        "kind" not in document and isinstance(document.get("tasks"), Mapping)
    )


def _name_of(document: Mapping[str, Any]) -> str:
    metadata = document.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, Mapping) else ""


def _asked_by_round(document: Mapping[str, Any], what: str) -> Asked:
    content = document.get("spec") if "kind" in document else document
    if not isinstance(content, Mapping):
        raise DocumentError(f"{what}: the EvalRound has no spec")
    try:
        spec = EvalRoundSpec.model_validate({"models": {"matchLabels": {}}, **content})
    except ValidationError as error:
        advice = "is it from a newer version of bitagent, or was it never accepted by an API server?"
        raise DocumentError(f"{what}: spec.{first_error(error)}: {advice}") from error
    name = _name_of(document)
    digest, entries = _status_of(document.get("status"))
    return Asked(
        what=f"EvalRound {name}".strip(),
        name=name or "round",
        tasks=spec.tasks,
        run=rules_of(spec),
        digest=digest,
        entries=entries,
        admission=_admission(spec),
    )


def rules_of(spec: EvalRoundSpec) -> RunSpec:
    """Return the rules of a round for all of its models, as the operator gives them to its Jobs."""
    shared = {name: getattr(spec.evaluation, name) for name in type(spec.evaluation).model_fields}
    known = {name: value for name, value in shared.items() if name in RunSpec.model_fields and value is not None}
    fixed = {"repo": "", "task_set_digest": _NOT_BUILT, "generate_seconds": spec.generate_seconds}
    return RunSpec(**{**known, **fixed})


def _admission(spec: EvalRoundSpec) -> str:
    given = spec.admission.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return json.dumps(given) if given else ""


def _status_of(status: Any) -> tuple[Digest | None, tuple[Entry, ...]]:
    """Return the task set's digest and the models of a round's status; what is not understood is passed over."""
    if not isinstance(status, Mapping):
        return None, ()
    built, results = status.get("taskSet"), status.get("results")
    digest = built.get("digest") if isinstance(built, Mapping) else None
    entries = [_entry(found) for found in results if isinstance(found, Mapping)] if isinstance(results, list) else []
    return digest if isinstance(digest, str) else None, tuple(entry for entry in entries if entry is not None)


def _entry(found: Mapping[str, Any]) -> Entry | None:
    repo, model = found.get("repo"), found.get("model")
    if not isinstance(repo, str) or not isinstance(model, str):
        return None
    try:
        engine = EngineChoices.model_validate(found.get("engine") or {})
    except ValidationError:
        return None
    commit, prompt_format = found.get("commit"), found.get("promptFormat")
    refused = f"{found.get('reason')}: {found.get('message', '')}" if found.get("state") == ResultState.REJECTED else ""
    return Entry(
        model,
        repo,
        commit if isinstance(commit, str) and _COMMIT.fullmatch(commit) else None,
        prompt_format if isinstance(prompt_format, str) else None,
        engine,
        refused,
    )


def _asked_by_result(document: Mapping[str, Any], what: str) -> Asked:
    try:
        manifest = ResultsManifest.model_validate(document)
        run = manifest.run()
    except ValidationError as error:
        raise DocumentError(f"{what}: this version cannot read the manifest: {first_error(error)}") from error
    made = manifest.task_set
    if made is None or not made.spec:
        raise DocumentError(f"{what} does not say how its tasks were made: plan from its EvalRound instead")
    try:
        tasks = Tasks.model_validate(_pinned(made.spec, [source.version for source in made.sources]))
    except ValidationError as error:
        raise DocumentError(f"{what}: this version cannot build its tasks: {first_error(error)}") from error
    notes: list[str] = []
    if url := manifest.engine.get("url"):
        notes.append(f"the result is of answers of {url}: local models answer by other engines")
    if run.max_prompt_tokens is None:
        notes.append("the result has no limit of prompts; run has one by default (--max-prompt-tokens)")
    return Asked(
        what=f"result of {manifest.repo}",
        name="result",
        tasks=tasks,
        run=run,
        digest=made.digest,
        limit=manifest.total if manifest.total < made.count else None,
        entries=(Entry("", manifest.repo, manifest.commit, run.prompt_format, run.engine),),
        notes=tuple(notes),
    )


def _pinned(spec: Mapping[str, Any], versions: list[str]) -> dict[str, Any]:
    """Return the spec of tasks with the commits that its datasets were read at."""
    sources = spec.get("sources")
    if not isinstance(sources, list) or len(sources) != len(versions):
        return dict(spec)
    pinned = [
        {**source, "huggingFace": {**source["huggingFace"], "revision": version}}
        if isinstance(source, Mapping) and isinstance(source.get("huggingFace"), Mapping) and _COMMIT.fullmatch(version)
        else source
        for source, version in zip(sources, versions, strict=True)
    ]
    return {**spec, "sources": pinned}


def leaves_format_open(asked: Asked) -> bool:
    """Whether each model of the round has a prompt format of its own."""
    return asked.run.prompt_format == BuiltinPromptFormat.AUTO
