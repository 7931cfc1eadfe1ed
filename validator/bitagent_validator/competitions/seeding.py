"""Seeds on the API server: the commitment in a new round, and their publication once its models are fixed."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from bitagent_crds.names import DISCOVERY_MANAGER, MANAGED_BY_LABEL
from bitagent_crds.policies import UnsupportedClaims
from bitagent_crds.seeds import SeedFrom, secret_digest
from bitagent_crds.validator import Competition
from bitagent_kube.resources import MODELS, ROUNDS
from bitagent_validator.chain.connection import CommitmentsUnreadable, Connection
from bitagent_validator.competitions.claims import compare_claims
from bitagent_validator.competitions.seed_secrets import SeedSecrets
from bitagent_validator.objects import Round
from bitagent_validator.services import Services

log = logging.getLogger(__name__)

STATES_KEPT = 250
"""Blocks for which a node surely keeps the state; 256 is the default of a substrate node."""


class SeedPublisher:
    """The seeds of one Validator's rounds."""

    def __init__(self, services: Services, secrets: SeedSecrets) -> None:
        self._services = services
        self._secrets = secrets

    def committed(self, competition: Competition, *, block: int, genesis: str) -> SeedFrom:
        """Return a seed from this block, by the digest of its secret. Raises SecretUnavailable."""
        secret = self._secrets.secret(competition, block=block, genesis=genesis)
        return SeedFrom(block=block, secret_digest=secret_digest(secret))

    def is_ours(self, round_: Round, competition: Competition, *, genesis: str) -> bool:
        """Whether this pod has the secret that the round was created with. Raises SecretUnavailable."""
        seed_from = round_.seed_from
        if seed_from is None:
            return True
        return self.committed(competition, block=seed_from.block, genesis=genesis).secret_digest == (
            seed_from.secret_digest
        )

    async def publish(self, round_: Round, competition: Competition, *, block: int, connection: Connection) -> None:
        """Publish the seed of a round whose models are fixed; compare their claims with the chain first.

        `block` is the last final one. Raises ApiError, ChainUnavailable, and SecretUnavailable; all of it may then be
        repeated.
        """
        if round_.seed_from is None:
            return
        await self._check_claims(round_, competition, at=round_.seed_from.block, block=block, connection=connection)
        secret = self._secrets.secret(competition, block=round_.seed_from.block, genesis=connection.genesis)
        block_hash = await connection.block_hash(round_.seed_from.block)
        change = {"spec": {"tasks": {"seedFrom": {"blockHash": block_hash, "secret": secret}}}}
        written = await self._services.client.merge(ROUNDS, round_.name, change)
        if written is None:  # deleted by a person meanwhile
            return
        self._services.rounds.put(written)
        text = f"{round_.name}: block {round_.seed_from.block} has the hash {block_hash}"
        await self._services.events.normal("SeedPublished", text)

    async def _check_claims(
        self, round_: Round, competition: Competition, *, at: int, block: int, connection: Connection
    ) -> None:
        """Record the models whose claim to a commitment is refused, as of the seed's block `at`.

        They are left out of the round's submissions, so that they earn nothing. Without any claim the chain is not
        asked.
        """
        services = self._services
        submissions = services.store.state.owners.get(round_.key, {})
        claimants = {submission.hotkey for submission in submissions.values() if submission.block is not None}
        if not claimants:
            return
        if block - at > STATES_KEPT:
            text = f"{round_.name}: the commitments at block {at} are too old to be read; commitBlocks are believed"
            await services.events.warning("ClaimsNotChecked", text)
            return
        try:
            commitments = await connection.commitments(self._secrets.netuid, block=at)
            strict = competition.unsupported_claims is UnsupportedClaims.REFUSE
            if strict and not claimants <= commitments.keys():
                # A node may lose a page of the answer.
                again = await connection.commitments(self._secrets.netuid, block=at)
                commitments = {**again, **commitments}
        except CommitmentsUnreadable as error:
            # Anyone may commit anything: it must not keep rounds and weights from everybody else.
            await services.events.warning("ClaimsNotChecked", f"{round_.name}: {error}; commitBlocks are believed")
            return
        claims = compare_claims(round_.results, submissions=submissions, commitments=commitments)
        if claims.contradicted or claims.unsupported:
            found = await services.client.list(MODELS, labels=f"{MANAGED_BY_LABEL}={DISCOVERY_MANAGER}")
            seen = frozenset(obj["metadata"]["name"] for obj in found)
            claims = compare_claims(round_.results, submissions=submissions, commitments=commitments, first_seen=seen)
        refused = claims.refused(competition.unsupported_claims)
        await self._say_believed(round_, sorted(claims.unsupported.keys() - refused.keys()))
        state = services.store.state
        if not refused or state.refused.get(round_.key) == refused:
            return
        kept = {model: submission for model, submission in submissions.items() if model not in refused}
        owners = {**state.owners, round_.key: kept}
        all_refused = {**state.refused, round_.key: {**state.refused.get(round_.key, {}), **refused}}
        await services.store.save(state.model_copy(update={"owners": owners, "refused": all_refused}))
        for model, message in refused.items():
            await services.events.warning("ClaimRefused", f"{model} in {round_.name} earns nothing: {message}")

    async def _say_believed(self, round_: Round, models: Sequence[str]) -> None:
        if models:
            text = (
                f"{round_.name}: the commitBlock of {len(models)} models, such as {models[0]}, is believed without a "
                "commitment that supports it (unsupportedClaims: Believe)"
            )
            await self._services.events.normal("ClaimsBelieved", text)
