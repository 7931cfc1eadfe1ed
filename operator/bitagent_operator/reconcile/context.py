"""What every reconciler works with, and the steps that they share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bitagent_crds.schema import API_VERSION, Model
from bitagent_operator import naming
from bitagent_operator.api import JOBS, MODELS, PODS, Api, ApiError
from bitagent_operator.config import Config
from bitagent_operator.events import Events
from bitagent_operator.metrics import Metrics
from bitagent_operator.observed import Meta, Obj
from bitagent_operator.plan.notices import Happening, Notice, Obsolete
from bitagent_operator.plan.questions import Answers, Questions
from bitagent_operator.store import Key, Kind, Store

AT_ONCE = 16
"""Requests in flight for one object."""
ROUNDS_OF_QUESTIONS = 4
"""How often a plan may ask before the pass is given up and repeated later."""
STALE = 0.5
"""Seconds until the watch has brought what made a write stale."""

SELECTORS = {Kind.MODEL: naming.MODEL, Kind.ROUND: naming.ROUND, Kind.VALIDATOR: naming.VALIDATOR}


class Undecided(Exception):
    """The plan kept asking; what it asked about changes faster than it is read."""


@dataclass(frozen=True)
class Context:
    """The edge to the world."""

    config: Config
    store: Store
    api: Api
    events: Events
    metrics: Metrics
    enqueue: Callable[[Iterable[Key]], None]

    def see(self, kind: str, obj: Obj) -> None:
        """Take in an object that was read or written here, and enqueue what it concerns: its watch event will no longer be news."""
        self.enqueue(self.store.put(kind, obj))

    @property
    def unschedulable_after(self) -> timedelta:
        """How long a pod may find no node before that is reported."""
        return timedelta(seconds=self.config.unschedulable_seconds)

    def now(self) -> datetime:
        """The time, to the second, as the API keeps it."""
        return datetime.now(UTC).replace(microsecond=0)

    async def answer(self, key: Key, questions: Questions, known: Answers) -> Answers:
        """Look at the API server; what exists goes into the store. Raises ApiError."""
        gone: set[str] = set()
        if questions.pods_of:
            selector = f"{naming.MANAGED_SELECTOR},{SELECTORS[key.kind]}={key.name}"
            for pod in await self.api.list(PODS, labels=selector):
                self.see("Pod", pod)
        for name in questions.models:
            model = await self.api.get(MODELS, name)
            if model is None:
                gone.add(name)
            else:
                self.see("MinerModel", model)
        return Answers(known.sure_jobs | questions.pods_of, known.gone_models | gone, known.selected)

    async def create_jobs(self, jobs: Iterable[Obj]) -> ApiError | None:
        """Create Jobs, a bounded number at once. A Job that exists is left as it is. The first refusal, if there was one."""
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(job: Obj) -> ApiError | None:
            async with slots:
                try:
                    self.see("Job", await self.api.create(job))
                except ApiError as error:
                    return error
            self.metrics.jobs.labels(job["metadata"]["labels"][naming.COMPONENT]).inc()
            return None

        refusals = await asyncio.gather(*map(one, jobs))
        return next((error for error in refusals if error is not None), None)

    async def tell(self, key: Key, meta: Meta, notices: tuple[Notice, ...], refusal: ApiError | None) -> None:
        """Post the notices. With a refusal, a notice of it; then it is raised, so that the key backs off and tries again."""
        if refusal is not None:
            notices = (*notices, Notice(Happening.JOB_NOT_CREATED, str(refusal), warning=True))
        await self.events.post(key.kind, meta, notices)
        if refusal is not None:
            raise refusal

    async def write_status(self, kind: Kind, meta: Meta, old: Model, new: Model) -> bool:
        """Write a status if it differs; False when the object has changed meanwhile and the plan is void. Raises ApiError."""
        if old == new:
            return True
        body = {
            "apiVersion": API_VERSION,
            "kind": kind.value,
            "metadata": {"name": meta.name, "namespace": self.config.namespace, "resourceVersion": str(meta.version)},
            "status": new.to_wire(),
        }
        try:
            self.see(kind, await self.api.apply(body, subresource="status"))
        except ApiError as error:
            if error.code not in (404, 409):
                raise
            return False
        return True

    async def delete_jobs(self, obsolete: Iterable[Obsolete]) -> None:
        """Delete Jobs and their pods. Raises ApiError."""
        for job in obsolete:
            await self.api.delete(JOBS, job.name, uid=job.uid)
