"""From a round's spec to a task set on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from bitagent_crds.jobs import alteration_key
from bitagent_crds.results import SourceManifest, Task, TaskSetManifest
from bitagent_crds.tasks import Tasks
from bitagent_evaluator.alterations import AlterationError, KeptAnswers, Means, alter_tasks
from bitagent_evaluator.progress import LogProgress, Progress
from bitagent_evaluator.tasks.errors import TaskSetError
from bitagent_evaluator.tasks.files import digest_of, encode_tasks, write_task_set
from bitagent_evaluator.tasks.pools import fill_pools
from bitagent_evaluator.tasks.sampling import draw, order, shares
from bitagent_evaluator.tasks.source import open_source


def build_task_set(
    tasks: Tasks,
    *,
    files: Mapping[int, Path],
    out: Path,
    environment: Mapping[str, str] | None = None,
    rewrites: Path | None = None,
    progress: Progress | None = None,
) -> TaskSetManifest:
    """Draw the tasks that the spec asks for, alter them and write `tasks.jsonl` and `manifest.json` into `out`.

    `files` holds the file of each JSONL source by its index in `tasks.sources`. A task that two sources have counts as the first one's.
    `environment` holds the keys that a TaskSetJob names. Repeating the call writes the same bytes: answers of a language model are kept in
    `rewrites.jsonl` beside the tasks, and `rewrites` takes over those of another build, in `out` or elsewhere.

    Raises TaskSetError when a source cannot be read, when two different tasks share an id, when there are fewer tasks than `count`, or
    when an alteration's parameters contradict each other. Raises InfrastructureFault when a source's server does not answer, or an
    alteration's endpoint is of no use.
    """
    sources = [open_source(i, spec, files.get(i), environment or {}) for i, spec in enumerate(tasks.sources)]
    pools = fill_pools(sources, count=tasks.count, seed=tasks.seed)
    counts = shares(tasks.count, [spec.weight for spec in tasks.sources], [pool.total for pool in pools])
    if sum(counts) < tasks.count:
        have = ", ".join(
            f"[{i}] {source.name}: {pool.total}" for i, (source, pool) in enumerate(zip(sources, pools, strict=True))
        )
        raise TaskSetError(
            f"tasks.count is {tasks.count}, but the sources have {sum(counts)} tasks ({have}): lower the count or add sources"
        )
    drawn: dict[str, Task] = {}
    for index, (pool, count) in enumerate(zip(pools, counts, strict=True)):
        drawn |= {
            task_id: pool.tasks[task_id] for task_id in draw(list(pool.tasks), count, seed=tasks.seed, index=index)
        }
    with _kept_answers(out, rewrites) as answers:
        try:
            chosen, alterations = alter_tasks(
                [drawn[task_id] for task_id in order(list(drawn), seed=tasks.seed)],
                tasks.alterations,
                seed=tasks.seed,
                available=(task for pool in pools for task in pool.tasks.values()),
                means=Means(_alteration_keys(tasks, environment or {}), answers, progress or LogProgress()),
            )
        except AlterationError as error:
            raise TaskSetError(str(error)) from error
        beside = answers.write()
    content = encode_tasks(chosen)
    manifest = TaskSetManifest(
        digest=digest_of(content),
        count=len(chosen),
        seed=tasks.seed,
        sources=[
            SourceManifest(
                source=source.name,
                version=source.version,
                parameters=source.parameters,
                count=count,
                skipped=dict(sorted(source.skipped.items())),
            )
            for source, count in zip(sources, counts, strict=True)
        ],
        alterations=alterations,
        categories=dict(sorted(Counter(task.category for task in chosen).items())),
        builder=f"bitagent-eval {version('bitagent')}",
        files=beside,
        spec=tasks.to_wire(),
    )
    write_task_set(out, content, manifest)
    return manifest


def _kept_answers(out: Path, rewrites: Path | None) -> KeptAnswers:
    try:
        return KeptAnswers(out, taken_over=rewrites)
    except OSError as error:
        raise TaskSetError(f"{error.filename}: {error.strerror}") from error
    except ValueError as error:
        raise TaskSetError(str(error)) from error


def _alteration_keys(tasks: Tasks, environment: Mapping[str, str]) -> dict[int, str]:
    """The API keys of alterations, by their index."""
    variables = {index: alteration_key(index) for index in range(len(tasks.alterations))}
    return {index: environment[name] for index, name in variables.items() if environment.get(name)}
