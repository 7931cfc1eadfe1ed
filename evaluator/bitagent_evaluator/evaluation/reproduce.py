"""Repeat the evaluation of a results manifest: the same tasks, model, prompts and scorer.

The task set is rebuilt from the sources and seed of its manifest, and must have the same digest. The model is fetched
from its repository at the manifest's commit, and must have the same weights. If something cannot be obtained, the error
says what to give instead.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from bitagent_crds.names import cached_model_path
from bitagent_crds.results import ResultsManifest
from bitagent_crds.task_set import Task
from bitagent_crds.tasks import Tasks
from bitagent_crds.texts import digest_of
from bitagent_evaluator.evaluation.prepared import MAX_MODEL_BYTES, Evaluation
from bitagent_evaluator.models.cache import ModelCache
from bitagent_evaluator.models.digests import directory_model_digest, weight_files_digest, weights_digest
from bitagent_evaluator.models.fetch import fetch
from bitagent_evaluator.models.validation.files import weight_files
from bitagent_evaluator.support.faults import FetchError, first_error
from bitagent_evaluator.tasks.build import build_task_set
from bitagent_evaluator.tasks.files import TaskSetError, encode_tasks, read_tasks


class CannotReproduce(Exception):
    """Raised if an input of the result cannot be obtained; the message says which, and what to give instead."""


@dataclass(frozen=True)
class TaskSetInputs:
    """Inputs of a task set besides its spec."""

    files: Mapping[int, Path]
    """Files of jsonl sources, by the source's index."""
    rewrites: Path | None
    """Cached responses of the rewriter."""
    environment: Mapping[str, str]
    """Keys of sources, by the environment variables of a TaskSetJob."""


def reproduce_tasks(manifest: ResultsManifest, *, given: Path | None, inputs: TaskSetInputs) -> list[Task]:
    """Return the tasks of the result, rebuilt or read from `given`.

    A result of `run --limit` has the first tasks of the set. Raises CannotReproduce, and InfrastructureFault for
    unreachable sources.
    """
    try:
        tasks = read_tasks(given) if given is not None else _rebuild(manifest, inputs)
    except TaskSetError as error:
        raise CannotReproduce(f"the task set cannot be built again: {error}") from error
    tasks = tasks[: manifest.total]
    digest = digest_of(encode_tasks(tasks))
    if digest != manifest.task_set_digest:
        how = f"{given} holds" if given is not None else "rebuilt, it is"
        raise CannotReproduce(
            f"the result is about task set {manifest.task_set_digest}, {how} {digest}: "
            "sources that change give other tasks; give the original with --tasks"
        )
    return tasks


def _rebuild(manifest: ResultsManifest, inputs: TaskSetInputs) -> list[Task]:
    made = manifest.task_set
    if made is None or not made.spec:
        raise CannotReproduce("the manifest does not say how its tasks were made: give them with --tasks")
    if made.files and inputs.rewrites is None:
        names = ", ".join(sorted(made.files))
        raise CannotReproduce(
            f"the task set was built with responses of a language model ({names}): give them with --rewrites, "
            "or the task set with --tasks"
        )
    try:
        spec = Tasks.model_validate(made.spec)
    except ValidationError as error:
        raise CannotReproduce(f"this version cannot build the task set: {first_error(error)}") from error
    missing = [
        index
        for index, source in enumerate(spec.sources)
        if source.jsonl is not None and source.jsonl.url is None and index not in inputs.files
    ]
    if missing:
        raise CannotReproduce(
            f"source {missing[0]} of the task set is a file, which no result holds: give it with "
            f"--file {missing[0]}=PATH, or the whole task set with --tasks"
        )
    with tempfile.TemporaryDirectory(prefix="bitagent-tasks-") as directory:
        build_task_set(
            spec,
            files=inputs.files,
            out=Path(directory),
            environment=inputs.environment,
            rewrites=inputs.rewrites,
        )
        return read_tasks(Path(directory))


def reproduce_model(manifest: ResultsManifest, *, given: Path | None, cache: Path) -> Path:
    """Return the directory of the result's model: `given`, or fetched into `cache`. Raises CannotReproduce."""
    directory = given if given is not None else _fetch(manifest, cache)
    names = weight_files(entry.name for entry in directory.iterdir()) if directory.is_dir() else []
    if not names:
        raise CannotReproduce(f"{directory} holds no model: give its directory with --model")
    _check_identity(manifest, directory)
    return directory


def _check_identity(manifest: ResultsManifest, directory: Path) -> None:
    """Raise CannotReproduce if the directory holds another model than the result is about."""
    if manifest.model_digest is not None:
        what, held, recorded = "model", [directory_model_digest(directory)], manifest.model_digest
    elif manifest.weights_digest is not None:
        # Of an earlier version, whose digest is one of files.
        what, recorded = "weights", manifest.weights_digest
        held = [weights_digest(directory), weight_files_digest(directory)]
    else:
        return
    if recorded not in held:
        raise CannotReproduce(f"{directory} has the {what} {held[0]}, the result is about {recorded}")


def _fetch(manifest: ResultsManifest, cache: Path) -> Path:
    local = Path(manifest.repo)
    if url := manifest.engine.get("url"):
        raise CannotReproduce(
            f"the model answered behind {url}, and the model there may have changed: ask it with "
            f"`bitagent-eval run --endpoint {url} --model-name {manifest.repo}` and compare the two results"
        )
    if manifest.commit is None:
        if local.is_dir():
            return local
        raise CannotReproduce(f"the result is about the local directory {manifest.repo}: give it with --model")
    if manifest.repo.startswith("volume/"):
        raise CannotReproduce(
            f"the model came from the cluster's volume {manifest.repo}: give its directory with --model"
        )
    from bitagent_evaluator.models.hub import HubRepository

    source = HubRepository(manifest.repo, manifest.commit)
    try:
        fetched = fetch(source, manifest.repo, ModelCache(cache), max_bytes=MAX_MODEL_BYTES, cache_max_bytes=0)
    except FetchError as error:
        raise CannotReproduce(f"{manifest.repo}@{manifest.commit} cannot be fetched: {error.message}") from error
    if fetched.facts is None:
        raise CannotReproduce(f"{manifest.repo}@{manifest.commit} is not safe to load: {fetched.message}")
    return cache / cached_model_path(manifest.repo, manifest.commit)


def reproduce_evaluation(
    manifest: ResultsManifest, model_dir: Path, tasks: list[Task], out: Path, *, resume: bool = False
) -> Evaluation:
    """Return the manifest's evaluation, with `out` as its directory of results. Raises CannotReproduce.

    Answers already in `out` are reused only with `resume`, because the author of the results may have planted them.
    """
    try:
        run = manifest.run()
    except ValidationError as error:
        message = f"this version cannot start the engine: choices.{first_error(error)}"
        raise CannotReproduce(message) from error
    return Evaluation(
        run=run,
        model_dir=model_dir,
        tasks=tasks,
        task_set=manifest.task_set,
        out_dir=out,
        fresh=not resume,
    )
