"""Build a task set from a round's spec: read sources, draw, alter, write."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from bitagent_crds.jobs import RewriterAddress, alteration_key
from bitagent_crds.seeds import SeedError
from bitagent_crds.task_set import AlterationManifest, SourceManifest, Task, TaskSetManifest
from bitagent_crds.tasks import Tasks
from bitagent_crds.texts import digest_of
from bitagent_evaluator.alterations.base import AlterationContext, AlterationError, SkipReason
from bitagent_evaluator.alterations.pipeline import alter_tasks
from bitagent_evaluator.alterations.rewrite_cache import RewriteCache
from bitagent_evaluator.support.garbage import rare_collections
from bitagent_evaluator.support.progress import LogProgress, Progress
from bitagent_evaluator.tasks.files import TaskSetError, encode_tasks, write_task_set
from bitagent_evaluator.tasks.rewriter import forget_others, record_of
from bitagent_evaluator.tasks.sampling import CandidateSet, draw, order, read_candidates, shares
from bitagent_evaluator.tasks.sources import open_source
from bitagent_evaluator.tasks.sources.base import SourceReader
from bitagent_evaluator.tasks.sources.shards import incomplete_sets

_log = logging.getLogger(__name__)


def describe_task_set(manifest: TaskSetManifest) -> str:
    """Return a sentence for the round's condition: the size, and what each alteration did.

    Such as `1000 tasks from 3 sources; Rewrite changed 812 of 1000 (103 value_lost, 85 too_similar)`. Skip reasons are
    in the order of their counts, without the tasks that `percent` left out, as the spec asked.
    """
    sizes = f"{_count(manifest.count, 'task')} from {_count(len(manifest.sources), 'source')}"
    return "; ".join([sizes, *(_describe_alteration(each, of=manifest.count) for each in manifest.alterations)])


def _describe_alteration(alteration: AlterationManifest, *, of: int) -> str:
    skipped = [(count, reason) for reason, count in alteration.skipped.items() if reason != SkipReason.NOT_CHOSEN]
    reasons = ", ".join(f"{count} {reason}" for count, reason in sorted(skipped, key=lambda each: (-each[0], each[1])))
    return f"{alteration.name} changed {alteration.applied} of {of}" + (f" ({reasons})" if reasons else "")


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


@rare_collections()
def build_task_set(
    tasks: Tasks,
    *,
    files: Mapping[int, Path],
    out: Path,
    environment: Mapping[str, str] | None = None,
    rewrites: Path | None = None,
    rewriter: RewriterAddress | None = None,
    progress: Progress | None = None,
) -> TaskSetManifest:
    """Draw the tasks of the spec, alter them and write `tasks.jsonl` and `manifest.json` into `out`.

    `files` has the file of each local JSONL source by its index in `tasks.sources`, `environment` the keys that a
    TaskSetJob names, `rewriter` is that of the round's Validator. A task that two sources have counts as the first
    one's.

    Equal arguments give equal bytes: responses of a language model are cached in `rewrites.jsonl` beside the tasks,
    and read from there and from `rewrites`, the file of another build.

    Raises TaskSetError if the seed is not known, a source cannot be read, two different tasks share an id, there are
    fewer tasks than `count`, or an alteration's parameters contradict each other. Raises InfrastructureFault if a
    source's server does not answer or an alteration's endpoint cannot be used.
    """
    environment = environment or {}
    seed = _seed(tasks)
    _check_shards(files)
    sources = [open_source(i, spec, files.get(i), environment) for i, spec in enumerate(tasks.sources)]
    candidates = read_candidates(sources, count=tasks.count, seed=seed)
    counts = _shares(tasks, sources, candidates)
    drawn: dict[str, Task] = {}
    for index, (own, count) in enumerate(zip(candidates, counts, strict=True)):
        chosen = draw(list(own.tasks), count, seed=seed, index=index)
        drawn |= {task_id: own.tasks[task_id] for task_id in chosen}
    reworder = rewriter if tasks.reworded_by_validator else None
    if reworder is not None:
        forget_others(out, reworder)
    with _open_cache(out, rewrites) as cache:
        try:
            altered, alterations = alter_tasks(
                [drawn[task_id] for task_id in order(list(drawn), seed=seed)],
                tasks.alterations,
                seed=seed,
                available=(task for own in candidates for task in own.tasks.values()),
                context=AlterationContext(
                    _alteration_keys(tasks, environment), cache, progress or LogProgress(), rewriter
                ),
            )
        except AlterationError as error:
            raise TaskSetError(str(error)) from error
        digests = cache.write()
    content = encode_tasks(altered)
    manifest = TaskSetManifest(
        digest=digest_of(content),
        count=len(altered),
        seed=seed,
        sources=[_source_manifest(source, count) for source, count in zip(sources, counts, strict=True)],
        alterations=alterations,
        categories=dict(sorted(Counter(task.category for task in altered).items())),
        builder=f"bitagent-eval {version('bitagent')}",
        files=digests,
        spec=tasks.to_wire(),
        rewriter=record_of(reworder) if reworder is not None else None,
    )
    write_task_set(out, content, manifest)
    return manifest


def _check_shards(files: Mapping[int, Path]) -> None:
    """Raise TaskSetError if the local files are shards of a set and a few are not among them.

    A few files of many may be a choice, and are only pointed out.
    """
    for each in incomplete_sets({path.as_posix() for path in files.values()}):
        absent, given = ", ".join(each.absent), min(each.there)
        if each.certain:
            raise TaskSetError(f"{absent} belongs to {given} and is not given: name it too")
        _log.warning("%s is a shard of several; rows of others, such as %s, are not read", given, absent)


def _seed(tasks: Tasks) -> str:
    try:
        return tasks.known_seed()
    except SeedError as error:
        raise TaskSetError(str(error)) from error


def _shares(tasks: Tasks, sources: Sequence[SourceReader], candidates: Sequence[CandidateSet]) -> list[int]:
    """Return how many tasks each source gives. Raises TaskSetError if all together have fewer than `count`."""
    counts = shares(tasks.count, [spec.weight for spec in tasks.sources], [own.total for own in candidates])
    if sum(counts) < tasks.count:
        totals = ", ".join(
            f"[{i}] {source.name}: {own.total}" for i, (source, own) in enumerate(zip(sources, candidates, strict=True))
        )
        raise TaskSetError(
            f"tasks.count is {tasks.count}, but the sources have {sum(counts)} tasks ({totals}): "
            "lower the count or add sources"
        )
    return counts


def _source_manifest(source: SourceReader, count: int) -> SourceManifest:
    return SourceManifest(
        source=source.name,
        version=source.version,
        parameters=source.parameters,
        count=count,
        skipped=dict(sorted(source.skipped.items())),
    )


def _open_cache(out: Path, rewrites: Path | None) -> RewriteCache:
    try:
        return RewriteCache(out, reuse=rewrites)
    except OSError as error:
        raise TaskSetError(f"{error.filename}: {error.strerror}") from error
    except ValueError as error:
        raise TaskSetError(str(error)) from error


def _alteration_keys(tasks: Tasks, environment: Mapping[str, str]) -> dict[int, str]:
    """Return the API keys of alterations by their index."""
    variables = {index: alteration_key(index) for index in range(len(tasks.alterations))}
    return {index: environment[name] for index, name in variables.items() if environment.get(name)}
