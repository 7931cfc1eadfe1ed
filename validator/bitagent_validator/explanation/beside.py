"""What runs beside the validator in its pod: the examiner of online evaluation, and the keys that its tasks need."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bitagent_crds.conditions import ConditionStatus, ConditionType
from bitagent_crds.examiner import ExaminerReason, Pool
from bitagent_crds.texts import digest_of
from bitagent_crds.validator import ValidatorSpec
from bitagent_kube.conditions import find, parse_conditions
from bitagent_kube.objects import Obj
from bitagent_validator.competitions.seed_secrets import SEEDS_DIR, SecretUnavailable, SeedSecrets
from bitagent_validator.explanation.findings import Finding
from bitagent_validator.online.examiner import SOCKET, Examiner, ExaminerLost, ExaminerRefused

REPLY_SECONDS = 15.0
"""How long to wait for the examiner; it answers a request about a task set that it does not have at once."""
NO_POOL = Pool(round_uid="doctor", digest=digest_of(b""))
"""A task set that no round has built."""


async def look_beside(
    spec: ValidatorSpec, status: Obj, *, socket: Path = SOCKET, seeds: Path = SEEDS_DIR
) -> list[Finding]:
    """Return what was found about the examiner, the shared keys, and online evaluation; nothing if none is used."""
    found = _of_keys(spec, seeds)
    if not any(competition.online for competition in spec.competitions):
        return found
    if socket.parent.is_dir():
        found.append(await _of_examiner(socket))
    else:
        found.append(Finding(True, f"the examiner was not asked: {socket} is in the validator's pod only"))
    return [*found, *_of_condition(status.get("conditions") or [])]


async def _of_examiner(socket: Path) -> Finding:
    examiner = Examiner(socket, reply_seconds=REPLY_SECONDS)
    try:
        await examiner.task(NO_POOL, seed="doctor")
    except ExaminerRefused as refused:
        if refused.reason is ExaminerReason.POOL_MISSING:
            return Finding(True, "the examiner answers")
        return Finding(False, f"the examiner answers that it cannot work ({refused}): its container's log says why")
    except ExaminerLost as error:
        return Finding(
            False,
            f"the examiner does not answer ({error}), so that no miner is asked: `kubectl logs POD -c examiner`, or is "
            "its image pulled?",
        )
    finally:
        await examiner.close()
    return Finding(
        False, "the examiner gives tasks of a task set that was never built: its image is of another version"
    )


def _of_keys(spec: ValidatorSpec, seeds: Path) -> list[Finding]:
    """Return whether the key of each competition that shares one can be read; nothing outside of the pod."""
    shared = [each for each in spec.competitions if each.round.tasks.secret_ref is not None]
    if not seeds.is_dir():
        return []
    secrets, found = SeedSecrets(b"", validator_uid="", netuid=spec.netuid, directory=seeds), []
    for competition in shared:
        try:
            secrets.secret(competition, block=0, genesis="")
            found.append(Finding(True, f"competition {competition.id} has its shared key"))
        except SecretUnavailable as error:
            found.append(Finding(False, str(error)))
    return found


def _of_condition(conditions: Sequence[Obj]) -> list[Finding]:
    condition = find(parse_conditions(conditions), ConditionType.ONLINE_CURRENT)
    if condition is None or condition.status is ConditionStatus.UNKNOWN:
        return []
    good = condition.status is ConditionStatus.TRUE
    return [Finding(good, f"online evaluation: {condition.reason}, {condition.message}")]
