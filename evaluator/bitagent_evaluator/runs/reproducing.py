"""Do again what a results manifest says was done: the same tasks, the same model, the same way of asking and judging.

The task set is built anew from the sources and the seed that its manifest names, and must come out with the same digest; the model is the
repository's at the commit of the manifest, and must have the same weights. What cannot be had again ends with a message that says what to
give instead.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from bitagent_crds.evaluation import LossParameters
from bitagent_crds.layout import cached_model
from bitagent_crds.minermodel import Engine
from bitagent_crds.results import ResultsManifest, Task
from bitagent_crds.tasks import Tasks
from bitagent_evaluator.hub.cache import ModelCache
from bitagent_evaluator.hub.directory import pieces
from bitagent_evaluator.hub.errors import FetchError
from bitagent_evaluator.hub.fetch import fetch
from bitagent_evaluator.hub.source import digest_of_files, sha256_of
from bitagent_evaluator.runs.evaluate import MAX_MODEL_BYTES, Evaluation
from bitagent_evaluator.safety.selection import weight_files
from bitagent_evaluator.tasks import TaskSetError, build_task_set, read_tasks
from bitagent_evaluator.tasks.files import digest_of, encode_tasks


class CannotReproduce(Exception):
    """Something that the result was made of cannot be had again; the text says what, and what to give instead."""


@dataclass(frozen=True)
class Material:
    """What a task set is built anew from, besides its spec."""

    files: Mapping[int, Path]
    """Files of jsonl sources, by the source's index."""
    rewrites: Path | None
    """The rewriter's kept answers."""
    environment: Mapping[str, str]
    """Keys of sources, by the variables that a TaskSetJob names."""


def tasks_again(manifest: ResultsManifest, *, given: Path | None, material: Material) -> list[Task]:
    """The tasks of the result: built anew, or read from `given`. Raises CannotReproduce, and InfrastructureFault for what is out of reach.

    A result of the first tasks of a set (`run --limit`) is about those.
    """
    try:
        tasks = read_tasks(given) if given is not None else _rebuilt(manifest, material)
    except TaskSetError as error:
        raise CannotReproduce(f"the task set cannot be built anew: {error}") from error
    tasks = tasks[: manifest.total]
    digest = digest_of(encode_tasks(tasks))
    if digest != manifest.task_set_digest:
        how = f"{given} holds" if given is not None else "built anew it is"
        raise CannotReproduce(
            f"the result is about task set {manifest.task_set_digest}, {how} {digest}: "
            "sources that change give other tasks; give the original with --tasks"
        )
    return tasks


def _rebuilt(manifest: ResultsManifest, material: Material) -> list[Task]:
    made = manifest.task_set
    if made is None or not made.spec:
        raise CannotReproduce("the manifest does not say how its tasks were made: give them with --tasks")
    if made.files and material.rewrites is None:
        names = ", ".join(sorted(made.files))
        raise CannotReproduce(
            f"the task set was built with answers of a language model ({names}): give them with --rewrites, or the task set with --tasks"
        )
    try:
        spec = Tasks.model_validate(made.spec)
    except ValidationError as error:
        raise CannotReproduce(f"this version cannot build the task set: {_first(error)}") from error
    missing = [
        index
        for index, source in enumerate(spec.sources)
        if source.jsonl is not None and source.jsonl.url is None and index not in material.files
    ]
    if missing:
        raise CannotReproduce(
            f"source {missing[0]} of the task set is a file of the cluster: give it with --file {missing[0]}=PATH, "
            "or the whole task set with --tasks"
        )
    with tempfile.TemporaryDirectory(prefix="bitagent-tasks-") as directory:
        build_task_set(
            spec,
            files=material.files,
            out=Path(directory),
            environment=material.environment,
            rewrites=material.rewrites,
        )
        return read_tasks(Path(directory))


def model_again(manifest: ResultsManifest, *, given: Path | None, cache: Path) -> Path:
    """The directory of the model of the result: `given`, or fetched into `cache`. Raises CannotReproduce."""
    directory = given if given is not None else _fetched(manifest, cache)
    names = weight_files(entry.name for entry in directory.iterdir()) if directory.is_dir() else []
    if not names:
        raise CannotReproduce(f"{directory} holds no model: give its directory with --model")
    digest = digest_of_files({name: sha256_of(pieces(directory / name)) for name in names})
    if manifest.weights_digest is not None and digest != manifest.weights_digest:
        raise CannotReproduce(f"{directory} has the weights {digest}, the result is about {manifest.weights_digest}")
    return directory


def _fetched(manifest: ResultsManifest, cache: Path) -> Path:
    local = Path(manifest.repo)
    if url := manifest.engine.get("url"):
        raise CannotReproduce(
            f"the model answered behind {url}, and what stands there now may be another: ask it with "
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
    from bitagent_evaluator.hub.huggingface import HubRepository

    source = HubRepository(manifest.repo, manifest.commit)
    try:
        fetched = fetch(source, manifest.repo, ModelCache(cache), max_bytes=MAX_MODEL_BYTES, cache_max_bytes=0)
    except FetchError as error:
        raise CannotReproduce(f"{manifest.repo}@{manifest.commit} cannot be fetched: {error.message}") from error
    if fetched.facts is None:
        raise CannotReproduce(f"{manifest.repo}@{manifest.commit} is not safe to load: {fetched.message}")
    return cache / cached_model(manifest.repo, manifest.commit)


def evaluation_again(
    manifest: ResultsManifest, model_dir: Path, tasks: list[Task], out: Path, *, resume: bool = False
) -> Evaluation:
    """The evaluation that the manifest describes, with results going to `out`. Raises CannotReproduce.

    Answers that lie there already count only with `resume`: whoever gave the results may have put them there.
    """
    try:
        choices = Engine.model_validate(manifest.choices)
    except ValidationError as error:
        message = f"this version cannot start the engine: choices.{_first(error)}"
        raise CannotReproduce(message) from error
    return Evaluation(
        model_dir=model_dir,
        repo=manifest.repo,
        commit=manifest.commit,
        weights_digest=manifest.weights_digest,
        tasks=tasks,
        task_set_digest=manifest.task_set_digest,
        task_set=manifest.task_set,
        out_dir=out,
        prompt_format=manifest.prompt_format,
        max_tokens=manifest.max_tokens,
        engine=choices,
        scorer=manifest.scorer,
        loss=manifest.loss_parameters or LossParameters(),
        fresh=not resume,
    )


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False)[0]
    return f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}"
