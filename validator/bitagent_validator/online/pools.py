"""The pools on the API server: created for each period, and deleted when no task of theirs is asked any more.

What to do follows from the EvalRounds that there are, so that a process may end between any two steps.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

from bitagent_crds.conditions import Reason
from bitagent_crds.names import pool_name
from bitagent_crds.validator import Competition
from bitagent_kube.errors import ApiError
from bitagent_kube.objects import owner_uid
from bitagent_kube.resources import ROUNDS
from bitagent_validator.chain.connection import Connection
from bitagent_validator.competitions.seed_secrets import SecretUnavailable, SeedSecrets
from bitagent_validator.objects import Round, ValidatorObject
from bitagent_validator.online.pool import PoolPlan, plan_pools, pool_manifest
from bitagent_validator.services import Services

log = logging.getLogger(__name__)

Problem = tuple[Reason, str]


class PoolRounds:
    """The pools of one Validator."""

    def __init__(self, services: Services, secrets: SeedSecrets, *, uid: str) -> None:
        """`uid`: the Validator's."""
        self._services, self._secrets, self._uid = services, secrets, uid
        self._refusals: dict[str, str] = {}
        """Why a competition's pool could not be created; each reason is posted once as an Event."""

    async def reconcile(
        self, me: ValidatorObject, competition: Competition, *, block: int, connection: Connection
    ) -> PoolPlan:
        """Create the pool of the present period, and delete those that are not asked any more; return the plan.

        Raises ApiError if the API server does not answer, or asks to try again.
        """
        settings = competition.online
        if settings is None:
            return PoolPlan()
        plan = plan_pools(settings.pool, block=block, pools=self._of(competition.id))
        if plan.create is None:
            self._refusals.pop(competition.id, None)
        else:
            await self._create(me, competition, period=plan.create, connection=connection)
        await self._delete(plan.delete, why="later tasks are asked")
        return plan_pools(settings.pool, block=block, pools=self._of(competition.id))

    def problem(self, competition: str, plan: PoolPlan) -> Problem | None:
        """Return why no task of a competition can be asked, or only earlier ones; None if all is well."""
        if refusal := self._refusals.get(competition):
            return Reason.POOL_UNAVAILABLE, refusal
        if plan.unreadable:
            text = f"{plan.unreadable} is not readable by this version, as the log says"
            until = "earlier tasks are asked" if plan.usable else "no tasks are asked"
            return Reason.POOL_UNAVAILABLE, f"{text}; {until} until the next period, which gets another: or delete it"
        if plan.usable:
            return None
        if plan.waiting:
            return Reason.POOL_PENDING, f"{plan.waiting} builds the first tasks"
        if plan.failed:
            return Reason.POOL_UNAVAILABLE, f"{plan.failed}; raise its spec.retry, or wait for the next period"
        return Reason.POOL_PENDING, "the first tasks are about to be built"

    async def delete_others(self, asked: Collection[str]) -> None:
        """Delete the pools of all competitions but these. Raises ApiError; the others are then deleted later."""
        for gone in self._refusals.keys() - set(asked):
            del self._refusals[gone]
        others = [each.name for each in self._own() if each.competition not in asked]
        await self._delete(others, why="its competition asks no miners any more")

    def _of(self, competition: str) -> list[Round]:
        return [each for each in self._own() if each.competition == competition]

    def _own(self) -> list[Round]:
        rounds = self._services.rounds.objects.values()
        return [each for each in rounds if each.tasks_only and each.owner == self._uid]

    async def _delete(self, names: Collection[str], *, why: str) -> None:
        for name in names:
            round_ = self._services.rounds.objects.get(name)
            if round_ is None:  # deleted by a person since the plan was made
                continue
            await self._services.client.delete(ROUNDS, name, uid=round_.uid)
            self._services.rounds.drop(round_.uid)
            log.info("%s is deleted: %s", name, why)

    async def _create(
        self, me: ValidatorObject, competition: Competition, *, period: int, connection: Connection
    ) -> None:
        services, settings = self._services, competition.online
        if settings is None:
            return
        name = pool_name(me.name, competition.id, period)
        try:
            seed = self._secrets.pool_seed(competition, period=period, genesis=connection.genesis)
        except SecretUnavailable as error:
            self._refusals[competition.id] = str(error)
            return
        body = pool_manifest(
            competition,
            settings.pool,
            period,
            seed=seed,
            block_seconds=connection.block_seconds,
            validator=me.name,
            namespace=me.namespace,
            owner=me.reference.as_owner(),
        )
        try:
            created, new = await services.client.create_or_get(body)
        except ApiError as error:
            if not error.final:
                raise
            problem = f"{name} cannot be created: {error}"
            if self._refusals.get(competition.id) != problem:
                await services.events.warning("RoundRefused", problem)
            self._refusals[competition.id] = problem
            return
        if owner_uid(created) != self._uid:
            self._refusals[competition.id] = f"an EvalRound {name} exists that is not this Validator's: delete it"
            return
        services.rounds.put(created)
        self._refusals.pop(competition.id, None)
        if new:
            log.info("%s is created: tasks of period %d", name, period)
