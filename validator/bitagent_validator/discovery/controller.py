"""Discovery on the API server: read chain and axons now and then, and carry out the plan, a bounded number of writes.

MinerModels without discovery's labels are neither read nor changed. What is remembered is in the objects themselves.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from http import HTTPStatus

from bitagent_crds.conditions import Reason
from bitagent_crds.discovery import (
    IGNORED_MAX,
    CommitmentFault,
    Discovery,
    DiscoveryStatus,
    IgnoredCommitment,
)
from bitagent_crds.names import DISCOVERY_MANAGER, MANAGED_BY_LABEL, VALIDATOR_LABEL
from bitagent_kube.client import Client
from bitagent_kube.errors import ApiError
from bitagent_kube.resources import MODELS
from bitagent_validator.chain.connection import ChainUnavailable, Connection
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.chain.published import Published
from bitagent_validator.discovery.axons import AxonReader
from bitagent_validator.discovery.commitments import Fault
from bitagent_validator.discovery.models import Desired, Existing, existing_of, manifest
from bitagent_validator.discovery.plan import DiscoveryPlan, plan_discovery
from bitagent_validator.discovery.second_reading import Opinion, SecondReadings
from bitagent_validator.objects import RoundPhase, ValidatorObject
from bitagent_validator.services import Services

log = logging.getLogger(__name__)

READ_BLOCKS = 5
"""Blocks between two reads of the commitments: public endpoints limit the requests of one address."""
READ_SECONDS = 3.0
"""The same in seconds, on chains with fast blocks."""
WRITES_MAX = 20
"""Writes of one pass; the others follow with the next one."""
FAILURES_MAX = 3
"""Failures of the API server after which the pass ends."""
NO_SOURCE = "spec.discovery names neither commitments nor axons, so that no model is discovered: name one, or remove it"
CONTRADICTED = Fault(
    CommitmentFault.CONTRADICTED, "endpoints of spec.chain say different things: remove the wrong one, or add a third"
)
_OF_THE_OBJECT = (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)
"""Answers that concern one object: the others are written all the same."""


class DiscoveryController:
    """The MinerModels that one Validator makes of submissions. `writer` is a client with discovery's field manager."""

    def __init__(
        self, services: Services, writer: Client, axons: AxonReader, *, readings: SecondReadings | None = None
    ) -> None:
        self._services = services
        self._writer = writer
        self._axons = axons
        self._readings = readings or SecondReadings()
        self.status: DiscoveryStatus | None = None
        """What is reported; None before the first pass, and without discovery."""
        self._published: Mapping[str, Published | None] = {}
        self._read_at: float | None = None
        self._looked = False
        """Whether commitments were looked for in that reading: they may have been off."""
        self._absent: frozenset[str] = frozenset()
        """Registered hotkeys without a commitment in that reading."""
        self._unsure: frozenset[str] = frozenset()
        """Those of them that had one, or were not looked for, in the reading before."""
        self._alone = False
        """Whether one endpoint of several alone gave that reading."""
        self._opinion = Opinion()
        """What other endpoints say about it."""
        self._unfinished = False
        """Whether there is something to do before the chain is read again."""

    async def reconcile(
        self,
        me: ValidatorObject,
        subnet: Subnet,
        *,
        connection: Connection,
        alone: bool = False,
        others: Sequence[str] = (),
    ) -> None:
        """Bring the MinerModels in line with what a subnet's hotkeys have submitted, if that is due.

        `alone` says whether there are other endpoints, of which none has agreed with the one that is used. `others` are
        those that may be asked for what they say about the same.
        Raises ChainUnavailable and CommitmentsUnreadable; and ApiError if the API server fails for more than single
        objects.
        """
        settings = me.spec.discovery if me.spec is not None else None
        if me.spec is None or settings is None or (settings.commitments is None and settings.axons is None):
            await self._forget()
            # Not refused by the API server: what it took once is good in all of v1alpha1.
            self.status = None if settings is None else DiscoveryStatus(message=NO_SOURCE)
            return
        now = asyncio.get_running_loop().time()
        pause = max(READ_SECONDS, READ_BLOCKS * connection.block_seconds)
        on = settings.commitments is not None
        due = self._read_at is None or now - self._read_at >= pause or (on and not self._looked)
        answered = False
        if settings.axons is not None:
            answered = self._axons.reconcile(subnet, settings.axons, connection=connection)
        if not due and not answered and not self._unfinished:
            return
        if due:
            self._published = await connection.published(subnet.netuid, block=subnet.block) if on else {}
            self._read_at, self._looked, self._alone = now, on, alone
            # A node may lose a page of the answer, and a model that goes loses the block of its first sight.
            absent = frozenset(subnet.neurons.keys() - self._published.keys()) if on else frozenset()
            self._absent, self._unsure = absent, absent - self._absent
            self._opinion = Opinion()
            if on and not alone:
                self._opinion = await self._readings.compare(
                    self._published,
                    hotkeys=subnet.neurons,
                    others=others,
                    genesis=connection.genesis if others else "",
                    netuid=subnet.netuid,
                    block=subnet.block,
                )
                if self._opinion.outvoted:
                    self._read_at = None
                    text = f"{connection.endpoint} shows commitments at block {subnet.block} that two others do not"
                    raise ChainUnavailable(text, reason=Reason.CHAIN_CONTRADICTED)
        self._unfinished = True
        plan = await self._plan(me.name, settings, subnet, competitions=[c.id for c in me.spec.competitions])
        refused = dict.fromkeys(self._opinion.doubtful, CONTRADICTED)
        try:
            left = await self._carry_out(plan, settings, me, refused, registered=subnet.neurons)
        finally:
            self._report(plan, refused)
        self._unfinished = bool(left or plan.superseded)

    async def _plan(
        self, validator: str, settings: Discovery, subnet: Subnet, *, competitions: Collection[str]
    ) -> DiscoveryPlan:
        running = (r for r in self._services.rounds.objects.values() if r.phase is RoundPhase.UNFINISHED)
        needed = {result.model for round_ in running for result in round_.results}
        labels = f"{MANAGED_BY_LABEL}={DISCOVERY_MANAGER},{VALIDATOR_LABEL}={validator}"
        found = await self._writer.list(MODELS, labels=labels)
        return plan_discovery(
            settings,
            validator=validator,
            competitions=competitions,
            uids={hotkey: neuron.uid for hotkey, neuron in subnet.neurons.items()},
            published={h: each for h, each in self._published.items() if h not in self._opinion.doubtful},
            existing=[existing_of(obj) for obj in found],
            needed=needed,
            answers={h: each.parsed for h, each in self._axons.answers.items() if h not in self._opinion.doubtful},
            block=subnet.block,
            unsure=self._unsure | self._opinion.doubtful,
            unconfirmed=frozenset(subnet.neurons) if self._alone else self._opinion.unconfirmed,
        )

    async def _carry_out(
        self,
        plan: DiscoveryPlan,
        settings: Discovery,
        me: ValidatorObject,
        refused: dict[str, Fault],
        *,
        registered: Collection[str],
    ) -> int:
        """Delete and write; return how much is left. What concerns one object alone is added to `refused`.

        Raises ApiError after the pass if the API server failed otherwise.
        """
        steps: list[Existing | Desired] = [*plan.delete, *plan.write]
        errors: list[ApiError] = []
        for step in steps[:WRITES_MAX]:
            try:
                if isinstance(step, Existing):
                    await self._writer.delete(MODELS, step.name, uid=step.uid)
                    log.info("%s is deleted: its hotkey %s does not submit it any longer", step.name, step.hotkey)
                    reason = "Withdrawn" if step.hotkey in registered else "Deregistered"
                    self._services.metrics.models_deleted.labels(reason).inc()
                else:
                    await self._write(step, settings, me, exists=step.name in plan.known)
            except ApiError as error:
                log.warning("%s: %s", step.name, error)
                if isinstance(step, Desired) and error.code in _OF_THE_OBJECT:
                    refused[step.hotkey] = Fault(CommitmentFault.NOT_WRITTEN, f"{step.name}: {error.reason}"[:128])
                    continue
                errors.append(error)
                if len(errors) == FAILURES_MAX:
                    break
        if errors:
            raise errors[0]
        return len(steps[WRITES_MAX:])

    async def _write(self, desired: Desired, settings: Discovery, me: ValidatorObject, *, exists: bool) -> None:
        body = manifest(desired, settings, validator=me.name)
        named = {"name": desired.name, "namespace": me.namespace, "ownerReferences": [me.reference.as_owner()]}
        body["metadata"] |= named
        if not exists and await self._writer.get(MODELS, desired.name) is not None:
            raise ApiError(
                code=HTTPStatus.CONFLICT, reason="AlreadyExists", message="a MinerModel of this name is another's"
            )
        await self._writer.apply(body)
        log.info("%s is written: %s@%s", desired.name, desired.submission.repo, desired.submission.revision)

    def _report(self, plan: DiscoveryPlan, refused: Mapping[str, Fault]) -> None:
        ignored = {**plan.ignored, **refused}
        self.status = DiscoveryStatus(
            models=len(plan.models) + plan.stay,
            ignored_count=len(ignored),
            ignored=[
                IgnoredCommitment(hotkey=hotkey, reason=fault.reason, message=fault.message[:128])
                for hotkey, fault in sorted(ignored.items())[:IGNORED_MAX]
            ],
        )
        self._measure(len(plan.models) + plan.stay, Counter(fault.reason.value for fault in ignored.values()))

    def _measure(self, models: int, ignored: Mapping[str, int]) -> None:
        metrics = self._services.metrics
        metrics.discovered_models.set(models)
        metrics.ignored_commitments.clear()
        for reason, count in ignored.items():
            metrics.ignored_commitments.labels(reason).set(count)

    async def _forget(self) -> None:
        await self._axons.close()
        if self.status is not None:
            self._measure(0, {})
        self.status, self._published, self._read_at, self._unfinished = None, {}, None, False
        self._looked = False
        self._absent = self._unsure = frozenset()
        self._opinion = Opinion()
