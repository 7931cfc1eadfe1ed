"""Discovery: how a Validator finds the models that the miners of its subnet submit."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from bitagent_crds.fields import Count, Hotkey, Labels, ShortText
from bitagent_crds.schema import Model, Open, StatusModel, cel, map_list, rules


class CommitmentFormat(StrEnum):
    """A form of commitment that names a model."""

    FIELDS = "Fields"
    """`namespace:name:commit:hash:competition`; the last two may be absent; `verifyHash` has the hash compared."""
    REPOSITORY = "Repository"
    """`namespace/name@commit`."""
    JSON = "Json"
    """A JSON object with `model` and `revision`."""


_OWN_LABELS = cel(
    "!has(self.labels) || self.labels.all(key, !key.startsWith('bitagent.io/') && "
    "key != 'app.kubernetes.io/managed-by')",
    "labels of bitagent.io/ and app.kubernetes.io/managed-by are the validator's own: choose other keys",
)


class CommitmentDiscovery(Model):
    """Models by the commitments of the subnet's hotkeys."""

    model_config = {"json_schema_extra": rules(_OWN_LABELS)}

    formats: Annotated[list[CommitmentFormat], Field(min_length=1, max_length=3)] = list(CommitmentFormat)
    """formats are the forms of commitments that are read: Fields, Repository, Json."""
    labels: Labels = {}
    """labels are given to each MinerModel, beside those of the validator, the competition and the hotkey."""
    allow_branches: bool = False
    """allowBranches also takes commitments that name a branch, a tag or no revision. Their models have no commitBlock,
    because what a branch names can be replaced after that block."""
    maximum_models: Annotated[int, Field(ge=1, le=1024)] = 256
    """maximumModels is the largest number of MinerModels; those committed to first are taken."""
    verify_hash: bool = False
    """verifyHash has the hash of Fields compared with the files when they are fetched, by the rule of the finetuning
    subnets: models with other files earn nothing (CommitmentMismatch), and commitments of that form without a hash are
    ignored. False does not read it, for subnets with a rule of their own."""


class AxonDiscovery(Model):
    """Models by what the miners' axons answer to GetHFModelName."""

    model_config = {"json_schema_extra": rules(_OWN_LABELS)}

    every_blocks: Annotated[int, Field(ge=1, le=100000)] = 300
    """everyBlocks is the number of blocks between two times that each axon is asked."""
    timeout_seconds: Annotated[int, Field(ge=1, le=120)] = 15
    """timeoutSeconds is the time that an axon has for its answer."""
    labels: Labels = {}
    """labels are given to each MinerModel, beside those of the validator and the hotkey."""
    maximum_models: Annotated[int, Field(ge=1, le=1024)] = 256
    """maximumModels is the largest number of MinerModels; those seen first are taken."""


class Discovery(Model):
    """The sources of submissions."""

    commitments: CommitmentDiscovery | None = None
    """commitments makes a MinerModel of each registered hotkey's commitment that names a model."""
    axons: AxonDiscovery | None = None
    """axons makes a MinerModel of what each registered hotkey's axon answers, unless the hotkey has a commitment that
    `commitments` takes."""


class CommitmentFault(StrEnum):
    """Why a registered hotkey's commitment, or the answer of its axon, has no MinerModel."""

    MALFORMED = "Malformed"
    """It is in none of the forms that are read."""
    OVERSIZED = "Oversized"
    """It is larger than what is read, or in a field of the chain that holds large data."""
    SEALED = "Sealed"
    """It is timelocked, and the chain has not opened it."""
    NOT_A_COMMIT = "NotACommit"
    """It names a branch, a tag or no revision, where a commit of 40 digits is required."""
    UNKNOWN_COMPETITION = "UnknownCompetition"
    """It names a competition that the Validator does not have."""
    OVER_LIMIT = "OverLimit"
    """There are `maximumModels` earlier ones."""
    NOT_WRITTEN = "NotWritten"
    """The API server refused its MinerModel."""
    NO_ANSWER = "NoAnswer"
    """Its axon gave no answer that can be read."""
    ADDRESS_REFUSED = "AddressRefused"
    """Its axon has an address that is not public, which is never asked."""
    CONTRADICTED = "Contradicted"
    """Another endpoint of `chain` says something else about its commitment at the same block, and none the same: what
    was known before stays."""


class IgnoredCommitment(StatusModel):
    """A commitment, or an axon, without a MinerModel."""

    hotkey: Hotkey
    """hotkey is the account that committed, or that serves the axon."""
    reason: Annotated[CommitmentFault, Open()]
    """reason is Malformed, Oversized, Sealed, NotACommit, UnknownCompetition, OverLimit, NotWritten, NoAnswer,
    AddressRefused or Contradicted; a later version may have more of them."""
    message: ShortText = ""
    """message says more, without the words of the miner."""


IGNORED_MAX = 64


class DiscoveryStatus(StatusModel):
    """What discovery found."""

    models: Count = 0
    """models is the number of MinerModels of commitments and axons that hold."""
    ignored_count: Count = 0
    """ignoredCount is the number of registered hotkeys whose commitment or axon has no MinerModel."""
    ignored: Annotated[
        list[IgnoredCommitment], Field(max_length=IGNORED_MAX, json_schema_extra=map_list("hotkey"))
    ] = []
    """ignored are these hotkeys, and why; at most 64."""
    message: ShortText = ""
    """message says why nothing can be discovered, if `spec.discovery` names no source of submissions."""
