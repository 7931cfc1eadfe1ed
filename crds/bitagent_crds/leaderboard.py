"""The public leaderboard of a round: `leaderboard.json`, which anyone can read and check without a cluster.

The document is canonical JSON (sorted keys, no spaces, ASCII), so that equal rounds have equal digests. A validator
signs the digest with its hotkey, which is public on the chain.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from bitagent_crds.evalround import EvalRoundSpec, EvalRoundStatus
from bitagent_crds.fields import Count, Digest, Hotkey, Loss, Score
from bitagent_crds.model_result import ModelResult
from bitagent_crds.names import COMPETITION_LABEL, EPOCH_LABEL, VALIDATOR_LABEL
from bitagent_crds.schema import SCHEMA_VERSION, FileModel
from bitagent_crds.seeds import SeedError
from bitagent_crds.texts import digest_of

LEADERBOARD_NAME = "leaderboard.json"
PURPOSE = b"bitagent leaderboard 1\n"
"""Prefix of what is signed: the signature is worth nothing for anything else."""


class LeaderboardRow(FileModel):
    """One ranked model."""

    rank: int = Field(ge=1)
    model: str
    """Name of its MinerModel."""
    hotkey: str | None
    """The miner's account; None without a miner."""
    repo: str | None
    commit: str | None
    weights_digest: Digest | None
    score: Score
    loss: Loss | None = None
    passed: Count | None = None
    near_copy_of: str | None = None
    """The model committed earlier that it is a near copy of."""
    result_digest: Digest | None = None
    """SHA-256 of results/<key>/manifest.json, which has the interval of the score."""
    key: str | None = None
    """The key of its evaluation: its files are below results/<key>."""


class Leaderboard(FileModel):
    """The final ranking of a complete round, and what it was measured on."""

    schema_version: int = SCHEMA_VERSION
    round: str
    round_uid: str
    validator: str | None
    """Name of the Validator; None for a round of a person."""
    competition: str | None
    epoch: int | None
    seed: str | None
    """The seed of the task set, by which anyone draws the same tasks."""
    task_set_digest: Digest | None
    tasks: Count
    evaluator_image: str | None
    """Image in which the models were evaluated."""
    scorer: str
    started_at: str | None
    finished_at: str
    rows: list[LeaderboardRow]
    """Ranked models, the best first; equal ranks in the order of their names."""

    def content(self) -> bytes:
        """Return the canonical JSON, which is what the digest is of."""
        return _canonical(self.model_dump(mode="json"))

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON."""
        return digest_of(self.content())


def written_digest(file: bytes) -> str:
    """Return the digest of the `leaderboard` of a file as it is written, with what this version does not know.

    Raises ValueError if the file is not a JSON object with that member.
    """
    plain = json.loads(file)
    if not isinstance(plain, dict) or "leaderboard" not in plain:
        raise ValueError("it has no member `leaderboard`")
    return digest_of(_canonical(plain["leaderboard"]))


def _canonical(plain: object) -> bytes:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


class Signature(FileModel):
    """Who vouches for a leaderboard."""

    hotkey: Hotkey
    """The signer's account, SS58."""
    signature: str = Field(pattern=r"^0x[0-9a-f]{128}$")
    """sr25519 signature of PURPOSE and the digest, in hex."""


class SignedLeaderboard(FileModel):
    """The file `leaderboard.json`."""

    leaderboard: Leaderboard
    digest: Digest
    """SHA-256 of the canonical JSON of `leaderboard`."""
    signature: Signature | None = None
    """None: it is signed by no one."""

    def content(self) -> bytes:
        """Return the file."""
        return _canonical(self.model_dump(mode="json")) + b"\n"


def signed_text(digest: str) -> bytes:
    """Return what is signed for a leaderboard of this digest."""
    return PURPOSE + digest.encode()


def leaderboard_of(
    *, name: str, uid: str, labels: Mapping[str, str], spec: EvalRoundSpec, status: EvalRoundStatus
) -> Leaderboard:
    """Return the leaderboard of a round that has finished. Raises ValueError if it has not."""
    if status.finished_at is None:
        raise ValueError(f"EvalRound {name} has not finished")
    ranked = sorted((r for r in status.results if r.rank is not None), key=lambda r: (r.rank or 0, r.model))
    times: dict[str, Any] = status.model_dump(mode="json", include={"started_at", "finished_at"})
    epoch = labels.get(EPOCH_LABEL, "")
    return Leaderboard(
        round=name,
        round_uid=uid,
        validator=labels.get(VALIDATOR_LABEL),
        competition=labels.get(COMPETITION_LABEL),
        epoch=int(epoch) if epoch.isdecimal() else None,
        seed=_seed(spec),
        task_set_digest=status.task_set.digest if status.task_set is not None else None,
        tasks=status.task_set.count if status.task_set is not None else 0,
        evaluator_image=status.image,
        scorer=str(spec.evaluation.scorer),
        rows=[_row(result) for result in ranked],
        **times,
    )


def _seed(spec: EvalRoundSpec) -> str | None:
    if spec.tasks.seed_from is None:
        return spec.tasks.seed
    try:
        return spec.tasks.seed_from.seed()
    except SeedError:
        return None


def _row(result: ModelResult) -> LeaderboardRow:
    return LeaderboardRow(
        rank=result.rank or 1,
        model=result.model,
        hotkey=result.hotkey,
        repo=result.repo,
        commit=result.commit,
        weights_digest=result.weights_digest,
        score=result.score or "0.000000",
        loss=result.loss,
        passed=result.passed,
        near_copy_of=result.near_copy_of,
        result_digest=result.result_digest,
        key=result.key,
    )
