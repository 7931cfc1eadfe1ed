"""From a round's spec to a task set on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from bitagent_crds.results import SourceManifest, Task, TaskSetManifest
from bitagent_crds.tasks import Tasks
from bitagent_evaluator.alterations import AlterationError, alter_tasks
from bitagent_evaluator.tasks.errors import TaskSetError
from bitagent_evaluator.tasks.files import digest_of, encode_tasks, write_task_set
from bitagent_evaluator.tasks.sampling import draw, order, shares
from bitagent_evaluator.tasks.source import Source, open_source


def build_task_set(tasks: Tasks, *, files: Mapping[int, Path], out: Path) -> TaskSetManifest:
    """Draw the tasks that the spec asks for, alter them and write `tasks.jsonl` and `manifest.json` into `out`.

    `files` holds the file of each JSONL source by its index in `tasks.sources`. A task that two sources have counts as the first one's.
    Repeating the call writes the same bytes.

    Raises TaskSetError when a source cannot be read, when two different tasks share an id, when there are fewer tasks than `count`, or
    when an alteration's parameters contradict each other.
    """
    sources = [open_source(index, spec, files.get(index)) for index, spec in enumerate(tasks.sources)]
    pools = _pools(sources)
    counts = shares(tasks.count, [spec.weight for spec in tasks.sources], [len(pool) for pool in pools])
    if sum(counts) < tasks.count:
        have = ", ".join(
            f"[{i}] {source.name}: {len(pool)}" for i, (source, pool) in enumerate(zip(sources, pools, strict=True))
        )
        raise TaskSetError(
            f"tasks.count is {tasks.count}, but the sources have {sum(counts)} tasks ({have}): lower the count or add sources"
        )
    drawn: dict[str, Task] = {}
    for index, (pool, count) in enumerate(zip(pools, counts, strict=True)):
        drawn |= {task_id: pool[task_id] for task_id in draw(list(pool), count, seed=tasks.seed, index=index)}
    try:
        chosen, alterations = alter_tasks(
            [drawn[task_id] for task_id in order(list(drawn), seed=tasks.seed)],
            tasks.alterations,
            seed=tasks.seed,
            available=(task for pool in pools for task in pool.values()),
        )
    except AlterationError as error:
        raise TaskSetError(str(error)) from error
    content = encode_tasks(chosen)
    manifest = TaskSetManifest(
        digest=digest_of(content),
        count=len(chosen),
        seed=tasks.seed,
        sources=[
            SourceManifest(source=source.name, version=source.version, parameters=source.parameters, count=count)
            for source, count in zip(sources, counts, strict=True)
        ],
        alterations=alterations,
        categories=dict(sorted(Counter(task.category for task in chosen).items())),
        builder=f"bitagent-eval {version('bitagent')}",
    )
    write_task_set(out, content, manifest)
    return manifest


def _pools(sources: list[Source]) -> list[dict[str, Task]]:
    """The tasks of each source by id, without those that an earlier source has."""
    seen: dict[str, tuple[int, Task]] = {}
    pools: list[dict[str, Task]] = []
    for index, source in enumerate(sources):
        pool: dict[str, Task] = {}
        for task in source.tasks():
            earlier = seen.setdefault(task.id, (index, task))
            if earlier[0] == index:
                pool[task.id] = task
            elif earlier[1] != task:
                raise TaskSetError(
                    f"tasks.sources[{earlier[0]}] and tasks.sources[{index}] have different tasks of the same id {task.id!r}: rename one"
                )
        pools.append(pool)
    return pools
