"""One attempt at a step: what it does by the chain at its block, and the connections that it needs.

Whatever goes wrong is in the report, so that a step cannot end a pass.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from bitagent_crds.conditions import Reason
from bitagent_crds.examiner import MAX_RUNNING, TaskSetFiles
from bitagent_crds.validator import Competition
from bitagent_validator.chain.connection import ChainUnavailable, Connection, SubnetNotFound
from bitagent_validator.chain.endpoints import of_local_chain
from bitagent_validator.objects import Round, RoundPhase
from bitagent_validator.online.examiner import Examiner
from bitagent_validator.online.feedback import held_seconds
from bitagent_validator.online.pool import pool_of
from bitagent_validator.online.sample import draw, step_seed, task_seed
from bitagent_validator.online.step import StepPlan, StepReport, UsablePool, run_step
from bitagent_validator.policy.registry import terms_of
from bitagent_validator.questions import Questioner, open_questioner
from bitagent_validator.services import Services
from bitagent_validator.wallet import Account, load_hotkey
from bitagent_wire.hotkey_file import HotkeyFileError
from bitagent_wire.outcomes import KnownProtocols

log = logging.getLogger(__name__)

STEP_SECONDS = 900.0
"""Time limit of one step; a step that reaches it does not count."""

OpenQuestioner = Callable[..., AbstractAsyncContextManager[Questioner]]


@dataclass(frozen=True)
class Due:
    """The step that is due."""

    competition: Competition
    pools: Sequence[Round]
    """In the order of preference; at least one."""
    block: int
    netuid: int


class StepAttempts:
    """Carries out steps. `examiner` makes a connection for each of them."""

    def __init__(
        self,
        services: Services,
        account: Account,
        *,
        examiner: Callable[[], Examiner] = Examiner,
        open_questions: OpenQuestioner = open_questioner,
    ) -> None:
        self._services, self._account = services, account
        self._examiner, self._open_questions = examiner, open_questions
        self._known = KnownProtocols()

    async def run(self, due: Due, connection: Connection) -> StepReport:
        """Carry out a step; whatever goes wrong is in the report. Raises CancelledError."""
        block, examiner = due.block, self._examiner()
        try:
            async with asyncio.timeout(STEP_SECONDS):
                plan = await self._plan(due, connection)
                signer = load_hotkey(self._account.hotkey_file)
                local = of_local_chain(connection.url, genesis=connection.genesis)
                async with self._open_questions(signer, local=local, known=self._known) as questioner:
                    return await run_step(plan, examiner=examiner, questioner=questioner)
        except ChainUnavailable as error:
            return _failed(block, error.reason, str(error))
        except (SubnetNotFound, HotkeyFileError) as error:
            return _failed(block, Reason.CHAIN_UNREACHABLE, str(error))
        except TimeoutError:
            return _failed(block, Reason.EXAMINER_UNAVAILABLE, f"the step was not done in {STEP_SECONDS:g} s")
        except Exception as error:
            log.exception("the step of block %d failed", block)
            return _failed(block, Reason.PART_FAILED, f"{type(error).__name__}: {error}")
        finally:
            await examiner.close()

    async def _plan(self, due: Due, connection: Connection) -> StepPlan:
        """Return what the step of a block does, by the chain at that block."""
        competition, settings = due.competition, due.competition.online
        if settings is None:
            raise ValueError(f"competition {competition.id} has no online evaluation")
        block_hash = await connection.block_hash(due.block)
        subnet = await connection.subnet(due.netuid, hotkey=self._account.hotkey, block=due.block)
        seed = step_seed(
            genesis=connection.genesis, block_hash=block_hash, netuid=due.netuid, competition=competition.id
        )
        sample = draw(
            subnet.neurons,
            seed=seed,
            size=settings.sample_size,
            own=self._account.hotkey,
            excluded=settings.exclude_hotkeys,
            validator_stake=terms_of(competition).validator_stake,
        )
        return StepPlan(
            competition=competition.id,
            block=due.block,
            seed=task_seed(seed),
            sample=sample,
            settings=settings,
            pools=[UsablePool(p.name, pool_of(p, competition), float(p.baseline or 0)) for p in due.pools],
            running=running_task_sets(self._services.rounds.objects.values()),
            known=self._services.store.state.online.get(competition.id),
            held_seconds=held_seconds(competition),
        )


def running_task_sets(rounds: Iterable[Round]) -> list[TaskSetFiles]:
    """Return the task sets of the rounds that run, of all competitions: they may share sources."""
    running = [
        each for each in rounds if each.phase is RoundPhase.UNFINISHED and each.task_set_digest and not each.tasks_only
    ]
    newest = sorted(running, key=lambda each: (each.block, each.name), reverse=True)
    return [TaskSetFiles(round_uid=each.uid, digest=each.task_set_digest) for each in newest[:MAX_RUNNING]]


def _failed(block: int, reason: Reason, message: str) -> StepReport:
    return StepReport(None, reason=reason, message=message, block=block)
