"""`bitagent-operator explain er NAME`: the state of an object, why it is so, and what the next pass would do.

It reads what the operator reads, plans as the operator plans, and writes nothing. What is only in the operator's memory
it cannot know: which fetches wait for a turn, and when a Job that was refused is tried again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bitagent_crds.advice import advice_rows
from bitagent_crds.names import ATTEMPT_LABEL, COMPONENT_LABEL
from bitagent_crds.printable import escape_unprintable
from bitagent_crds.status_rows import columns, condition_rows, gpu_text, model_rows, progress_rows, seconds_rows
from bitagent_kube.client import Client
from bitagent_kube.errors import ApiError
from bitagent_kube.objects import Obj
from bitagent_kube.resources import CONFIG_MAPS, MODELS, ROUNDS, VALIDATORS
from bitagent_operator.config import Config, ConfigError, parse
from bitagent_operator.explanation.rehearsal import Recorded, read_all, rehearse, rehearsing_context
from bitagent_operator.observed.cache import Cache, Key, Kind
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.inputs import Pass
from bitagent_operator.plan.jobs.pods import pod_problem

KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("er", "evalround", "evalrounds"), Kind.ROUND),
    **dict.fromkeys(("mm", "minermodel", "minermodels"), Kind.MODEL),
    **dict.fromkeys(("val", "validator", "validators"), Kind.VALIDATOR),
}
_RESOURCES = {Kind.MODEL: MODELS, Kind.ROUND: ROUNDS, Kind.VALIDATOR: VALIDATORS}
_CONFIGURATION = "app.kubernetes.io/name=bitagent-operator"
_KEYED = {"conditions": "type", "results": "model"}
"""Lists of a status whose entries have a name."""


@dataclass(frozen=True)
class PodView:
    """One pod."""

    name: str
    phase: str
    node: str
    problem: str
    """Why it makes no progress; empty if it does."""


@dataclass(frozen=True)
class JobView:
    """One Job, and its pods."""

    name: str
    component: str
    attempt: str
    state: str
    pods: tuple[PodView, ...]


@dataclass(frozen=True)
class Explanation:
    """All that is shown about an object."""

    key: Key
    namespace: str
    status: Obj
    jobs: tuple[JobView, ...]
    next_pass: Recorded


async def configuration_of(client: Client) -> Config:
    """Return the configuration of the namespace's operator, from its ConfigMap. Raises ApiError and ConfigError."""
    for found in await client.list(CONFIG_MAPS, labels=_CONFIGURATION):
        if "config.yaml" in (found.get("data") or {}):
            return parse(found["data"]["config.yaml"], origin=f"ConfigMap {found['metadata']['name']}")
    text = f"namespace {client.namespace} has no ConfigMap of an operator; set BITAGENT_CONFIG to its configuration"
    raise ConfigError(text)


async def explain(client: Client, config: Config, key: Key) -> Explanation:
    """Return what is known about an object and what the next pass would do. Raises ApiError."""
    found = await client.get(_RESOURCES[key.kind], key.name)
    if found is None:
        text = f"there is no {key} in namespace {client.namespace}"
        raise ApiError(code=0, reason="NotFound", message=text)
    cache, recorded = await read_all(client), Recorded()
    context = rehearsing_context(config, client, cache, recorded)
    observed = cache.observed(key)
    jobs = _jobs(cache, key, context.new_pass(key, observed.meta)) if observed is not None else ()
    await rehearse(context, key, recorded)
    return Explanation(key, client.namespace, found.get("status") or {}, tuple(jobs), recorded)


def _jobs(cache: Cache, key: Key, pass_: Pass) -> list[JobView]:
    pods = cache.pods.of(key)
    views = [
        JobView(
            job.meta.name,
            job.meta.labels.get(COMPONENT_LABEL, ""),
            job.meta.labels.get(ATTEMPT_LABEL, "1"),
            _state(job),
            tuple(_pod(pod, pass_) for pod in pods if pod.meta.owner_uid == job.meta.uid),
        )
        for job in cache.jobs.of(key)
    ]
    known = {job.meta.uid for job in cache.jobs.of(key)}
    others = tuple(_pod(pod, pass_) for pod in pods if pod.meta.owner_uid not in known)
    return [*views, *([JobView("", "", "", "without a Job", others)] if others else [])]


def _state(job: JobObject) -> str:
    ended = job.ended or job.ending
    if job.meta.deleting:
        return "is being deleted"
    if ended is not None:
        what = "complete" if ended.complete else "failed" if job.ended else "is being failed"
        return f"{what}: {ended.reason} {ended.message}".rstrip(": ")
    return "suspended" if job.suspended else "active" if job.active else "no pod yet"


def _pod(pod: PodObject, pass_: Pass) -> PodView:
    problem = pod_problem(pod, None, pass_)
    said = f"{problem.reason}: {problem.message}" if problem is not None else ""
    if not said and pod.waiting_reason:
        said = f"{pod.waiting_reason} {pod.waiting_message}".strip()
    return PodView(pod.meta.name, pod.phase, pod.node, said)


def render(explanation: Explanation) -> str:
    """Return the text for a terminal, which nothing in it can steer."""
    return "".join(f"{escape_unprintable(line)}\n" for line in _lines(explanation))


def _lines(e: Explanation) -> Iterator[str]:
    state = e.status.get("phase") or e.status.get("progress") or ""
    yield f"{e.key} in namespace {e.namespace}" + (f": {state}" if state else "")
    yield from _table("conditions", condition_rows(e.status))
    yield from _table("models", model_rows(e.status))
    yield from _table("what to do", advice_rows(e.status))
    yield from _times(e.status)
    if e.jobs:
        yield "  Jobs and pods"
    for job in e.jobs:
        what = f" ({job.component}, attempt {job.attempt})" if job.name else ""
        yield f"    {job.name}{what}: {job.state}" if job.name else f"    {job.state}"
        for pod in job.pods:
            node = f" on {pod.node}" if pod.node else ""
            yield f"      pod {pod.name}{node}: {pod.phase}" + (f": {pod.problem}" if pod.problem else "")
    yield "  the next pass would"
    steps = list(_steps(e))
    yield from (f"    {step}" for step in steps or ["change nothing"])
    if e.next_pass.next_look is not None:
        yield f"    and look again after {e.next_pass.next_look:.0f} s"


def _times(status: Obj) -> Iterator[str]:
    """Yield where the time of a round's evaluations went, and how far those are that run."""
    yield from _table("progress", progress_rows(status))
    yield from _table("seconds", seconds_rows(status))
    if text := gpu_text(status):
        yield f"  {text}"


def _table(title: str, rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    """Yield a title and rows in columns; nothing without rows."""
    if rows:
        yield f"  {title}"
    yield from (f"    {line}" for line in columns(rows))


def _steps(e: Explanation) -> Iterator[str]:
    if e.next_pass.error:
        yield f"fail: {e.next_pass.error}"
    yield from e.next_pass.requests
    if e.next_pass.status is not None:
        yield from (f"write status: {change}" for change in _changes(e.status, e.next_pass.status))
    yield from (f"post Event {event.reason}: {event.message}" for event in e.next_pass.events)


def _changes(before: Obj, after: Obj) -> Iterator[str]:
    """Yield the differences of two statuses, one a line."""
    for name, new in after.items():
        old = before.get(name)
        if old == new:
            continue
        if name in _KEYED:
            known = {each.get(_KEYED[name]): each for each in old or []}
            for each in new:
                was = known.get(each[_KEYED[name]], {})
                if _said(was) != _said(each):
                    yield f"{each[_KEYED[name]]}: {_said(was) or 'nothing'} -> {_said(each)}"
        elif isinstance(new, str | int | float | bool):
            yield f"{name}: {old if old is not None else 'nothing'} -> {new}"
        else:
            yield name


def _said(entry: Mapping[str, Any]) -> str:
    """Return what a condition or a result says, in a line."""
    words = (entry.get("status") or entry.get("state"), entry.get("reason"), entry.get("score"), entry.get("message"))
    return " ".join(str(word) for word in words if word)
