"""Validator: who pays, on which subnet, by which competitions and policy."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from bitagent_crds.alterations import Alterations
from bitagent_crds.conditions import Conditions
from bitagent_crds.evalround import EvalRoundTemplate
from bitagent_crds.fields import Count, Digest, Hotkey, Name, SecretKey, ShortText, Text, Time
from bitagent_crds.schema import Column, Kind, Model, Resource, cel, map_list, rules
from bitagent_crds.sources import TaskSource

Endpoint = Annotated[str, Field(max_length=256, pattern=r"^wss?://.+$")]


class Chain(Model):
    """How the chain is reached."""

    endpoints: Annotated[list[Endpoint], Field(min_length=1, max_length=8)]
    """endpoints are websocket addresses of chain nodes; the first that answers is used, the others are fall-backs."""


class Wallet(Model):
    """The account that sets weights. Only a hotkey ever enters the cluster; the coldkey stays with its owner."""

    hotkey_secret_ref: SecretKey
    """hotkeySecretRef is the key of a Secret that holds the hotkey file as the wallet tool writes it, unencrypted."""


class Schedule(Model):
    """When a competition's epochs begin."""

    every_blocks: Annotated[int, Field(ge=1, le=1000000)]
    """everyBlocks is the length of an epoch: a new round begins at each block that is a multiple of it, plus `offset`."""
    offset: Annotated[int, Field(ge=0, le=1000000)] = 0
    """offset shifts the epochs, in blocks."""


class TasksTemplate(Model):
    """A round's tasks without the seed, which is the hash of the block that begins the epoch."""

    sources: Annotated[list[TaskSource], Field(min_length=1, max_length=8)]
    """sources are drawn from by weight."""
    count: Annotated[int, Field(ge=1, le=20000)]
    """count is the number of tasks."""
    alterations: Alterations = []
    """alterations change the drawn tasks, one after the other in this order."""


class RoundTemplate(EvalRoundTemplate):
    """The rounds of a competition."""

    tasks: TasksTemplate
    """tasks says how the task set is made."""


class Policy(StrEnum):
    """How scores become weights."""

    BITAGENT = "BitAgent"
    """exp(5 x) of the score of the last complete round, normalised; a newly registered hotkey starts at the median; validators get nothing."""


class Competition(Model):
    """One competition: a series of rounds, one an epoch, that shares in the validator's weights."""

    id: Annotated[str, Field(max_length=16, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    """id names the competition; rounds are named by validator, id and epoch."""
    reward_share: Annotated[int, Field(ge=1, le=100)] = 100
    """rewardShare is the percentage of the weights that this competition gives; all shares together are 100."""
    schedule: Schedule
    """schedule says when a round begins."""
    round: RoundTemplate
    """round is the template of each round."""
    policy: Policy = Policy.BITAGENT
    """policy turns scores into weights."""
    history_limit: Annotated[int, Field(ge=1, le=100)] = 5
    """historyLimit is how many finished rounds of this competition are kept; older ones are deleted."""


class WeightsMode(StrEnum):
    """What is done with the weights."""

    SET = "Set"
    """Computed and submitted to the chain."""
    DRY_RUN = "DryRun"
    """Computed and reported, never submitted."""
    OFF = "Off"
    """Not computed; rounds still run."""


class Weights(Model):
    """How weights are set."""

    mode: WeightsMode = WeightsMode.SET
    """mode is Set, DryRun or Off."""
    version_key: Annotated[int, Field(ge=0, le=2**53)] = 0
    """versionKey is sent with the weights; the subnet refuses one below its own."""
    timeout_seconds: Annotated[int, Field(ge=5, le=600)] = 120
    """timeoutSeconds is the hard limit of one submission, finalisation included; the process is then killed and the chain is asked what happened."""


class ValidatorSpec(Model):
    """Who pays, on which subnet, for what."""

    model_config = {
        "json_schema_extra": rules(
            cel(
                "self.competitions.map(c, c.rewardShare).sum() == 100",
                "the rewardShare of all competitions must add up to 100",
            )
        )
    }

    netuid: Annotated[int, Field(ge=0, le=65535)]
    """netuid is the subnet."""
    chain: Chain
    """chain says how the chain is reached."""
    wallet: Wallet
    """wallet is the account that sets weights."""
    competitions: Annotated[list[Competition], Field(min_length=1, max_length=8, json_schema_extra=map_list("id"))]
    """competitions are run side by side; their reward shares add up to 100."""
    weights: Weights = Weights()
    """weights says whether and how weights are set."""
    suspend: bool = False
    """suspend stops the validator pod; rounds that run go on."""


class CurrentRound(Model):
    """The latest round of one competition."""

    competition: ShortText
    """competition is the competition's id."""
    round: Name
    """round is the EvalRound's name."""
    epoch: Count
    """epoch is the number of the epoch, counted from block 0."""
    block: Count
    """block is the epoch's first block, whose hash is the seed."""


class LastWeights(Model):
    """The last weights that the chain accepted."""

    block: Count
    """block is the one that holds the extrinsic."""
    at: Time
    """at is when it was included."""
    rounds: Annotated[list[Name], Field(max_length=8)]
    """rounds are the EvalRounds that the weights were computed from."""
    digest: Digest
    """digest is the SHA-256 of the weights by hotkey."""
    extrinsic: ShortText
    """extrinsic identifies the submission on the chain, `block-index`."""
    hotkeys: Count
    """hotkeys is how many accounts got a weight above 0."""


class HotkeyWeight(Model):
    """One account's weight."""

    hotkey: Hotkey
    """hotkey is the account."""
    weight: Annotated[str, Field(max_length=10, pattern=r"^[01]\.[0-9]{6,8}$")]
    """weight is the share of 1."""


class ValidatorStatus(Model):
    """What the validator pod sees and did; the operator writes only the Deployed condition."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """observedGeneration is the generation of the spec that this status describes."""
    hotkey: Hotkey | None = None
    """hotkey is the account of the mounted key."""
    uid: Annotated[int, Field(ge=0, le=65535)] | None = None
    """uid is the hotkey's slot on the subnet."""
    block: Count | None = None
    """block is the last finalised block seen."""
    current_rounds: Annotated[list[CurrentRound], Field(max_length=8, json_schema_extra=map_list("competition"))] = []
    """currentRounds holds each competition's latest round."""
    last_weights: LastWeights | None = None
    """lastWeights is the last submission that the chain accepted."""
    weights: Annotated[list[HotkeyWeight], Field(max_length=1024, json_schema_extra=map_list("hotkey"))] = []
    """weights are the last computed weights, by hotkey."""
    conditions: Conditions = []
    """conditions are Deployed, ChainConnected, Registered, Permitted, RoundCurrent and WeightsCurrent."""
    message: Text = ""
    """message is one sentence for people: what the validator does now."""


class Validator(Resource):
    """A validator of a subnet: runs competitions and sets weights."""

    crd: ClassVar[Kind] = Kind(
        kind="Validator",
        plural="validators",
        short_names=("val",),
        name_max=24,
        columns=(
            Column("Netuid", ".spec.netuid", "integer"),
            Column("UID", ".status.uid", "integer"),
            Column("Permitted", '.status.conditions[?(@.type=="Permitted")].status'),
            Column("Weights", '.status.conditions[?(@.type=="WeightsCurrent")].status'),
            Column("Reason", '.status.conditions[?(@.type=="WeightsCurrent")].reason'),
            Column("Last-Block", ".status.lastWeights.block", "integer"),
            Column("Last-Set", ".status.lastWeights.at", "date"),
            Column("Rounds", ".status.currentRounds[*].round", priority=1),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )
    spec: ValidatorSpec
    """spec says who pays, on which subnet, for what."""
    status: ValidatorStatus | None = None
    """status is written by the validator pod, its Deployed condition by the operator."""
