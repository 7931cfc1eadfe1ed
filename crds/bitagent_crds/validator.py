"""Validator: configuration of one subnet validator: chain endpoints, hotkey, competitions, weights policy."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from bitagent_crds.alterations import Alterations
from bitagent_crds.defaults import given
from bitagent_crds.discovery import Discovery, DiscoveryStatus
from bitagent_crds.evalround import EvalRoundTemplate
from bitagent_crds.evaluation import BuiltinScorer
from bitagent_crds.fields import Count, Digest, Hotkey, Name, SecretKey, ShortText, Text, Time
from bitagent_crds.online import Online, OnlineStatus
from bitagent_crds.policies import (
    BuiltinPolicy,
    Duplicates,
    PolicyName,
    PolicyParameters,
    Smoothing,
    Standing,
    Unscored,
    UnsupportedClaims,
)
from bitagent_crds.rewriter import Rewriter, RewriterStatus
from bitagent_crds.schema import (
    READY,
    REASON,
    Column,
    Kind,
    Model,
    Open,
    Resource,
    StatusModel,
    cel,
    map_list,
    rules,
)
from bitagent_crds.status import Conditions
from bitagent_crds.tasks import TaskSource
from bitagent_crds.tracking import Tracking

Endpoint = Annotated[str, Field(max_length=256, pattern=r"^wss?://.+$")]


class ChainRead(StrEnum):
    """Which block the validator reads."""

    FINALIZED = "Finalized"
    """The last finalised block: what was read never changes again."""
    BEST = "Best"
    """The best block: weights are also set while blocks are made and none becomes final."""


class Chain(Model):
    """Connection to the chain."""

    endpoints: Annotated[list[Endpoint], Field(min_length=1, max_length=8)]
    """endpoints are websocket addresses of chain nodes; the first that answers is used. Give more than one."""
    endpoints_secret_ref: SecretKey | None = None
    """endpointsSecretRef is a Secret's key with further addresses, one a line, such as those that contain a key of a
    provider; they are used before `endpoints`, and reported without path, query and password."""
    read: ChainRead = ChainRead.FINALIZED
    """read is the block that is read: Finalized, or Best."""
    maximum_lag_seconds: Annotated[int, Field(ge=30, le=86400)] = 300
    """maximumLagSeconds is the age of a node's newest block above which the node counts as behind; the next endpoint is
    used then."""


class Wallet(Model):
    """The account that sets weights. Only a hotkey enters the cluster, never the coldkey."""

    hotkey_secret_ref: SecretKey
    """hotkeySecretRef is the hotkey file as the wallet tool writes it, unencrypted."""


class Schedule(Model):
    """Start of a competition's epochs."""

    every_blocks: Annotated[int, Field(ge=1, le=1000000)]
    """everyBlocks is the length of an epoch: a round begins at each multiple of it, plus `offset`."""
    offset: Annotated[int, Field(ge=0, le=1000000)] = 0
    """offset shifts the epochs, in blocks."""
    freeze_blocks: Annotated[int, Field(ge=1, le=100000)] = 25
    """freezeBlocks is the time, in blocks, from a round's creation to the block whose hash its seed mixes with the
    validator's secret: until then every revision must be resolved to a commit. At most half of `everyBlocks` counts."""


class TasksTemplate(Model):
    """A round's tasks without the seed, which mixes a block's hash with a secret of the validator."""

    sources: Annotated[list[TaskSource], Field(min_length=1, max_length=8)]
    """sources are drawn from by weight."""
    count: Annotated[int, Field(ge=1, le=20000)]
    """count is the number of tasks."""
    alterations: Alterations = []
    """alterations change the drawn tasks, in this order."""
    secret_ref: SecretKey | None = None
    """secretRef is a key from which the secret of each round's seed is derived: validators that share it, the
    competition's id and its schedule draw the same tasks. Absent: the secret is derived from the hotkey."""


class RoundTemplate(EvalRoundTemplate):
    """Template of a competition's rounds."""

    tasks: TasksTemplate
    """tasks defines the task set."""


_PARAMETERS = {
    BuiltinPolicy.BITAGENT: "bitAgent",
    BuiltinPolicy.WIN_RATE: "winRate",
    BuiltinPolicy.WINNER_TAKES_ALL: "winnerTakesAll",
    BuiltinPolicy.FIXED: "fixed",
}
"""The member of `policyParameters` that belongs to each built-in policy."""
_POLICY = given("policy", BuiltinPolicy.BITAGENT)
_REWARD_SHARE = 100
_COMPETITION_RULES = rules(
    *(
        cel(
            f"!has(self.policyParameters) || !has(self.policyParameters.{member}) || {_POLICY} == '{policy}'",
            f"policyParameters.{member} belongs to policy {policy}: remove it, or name that policy",
        )
        for policy, member in _PARAMETERS.items()
    ),
    cel(
        "!has(self.policyParameters) || !has(self.policyParameters.plugin) || "
        f"!({_POLICY} in [{', '.join(repr(str(policy)) for policy in BuiltinPolicy)}])",
        "policyParameters.plugin belongs to a policy of a package: give the built-in policy's own member",
    ),
    cel(
        f"{_POLICY} != '{BuiltinPolicy.FIXED}' || (has(self.policyParameters) && has(self.policyParameters.fixed))",
        "policy Fixed needs policyParameters.fixed: the hotkeys and their shares",
    ),
    cel(
        f"{_POLICY} != '{BuiltinPolicy.WIN_RATE}' || "
        f"{given('round.evaluation.scorer', BuiltinScorer.BFCL)} == '{BuiltinScorer.LOSS}'",
        "policy WinRate compares losses: set round.evaluation.scorer to Loss",
    ),
    cel(
        f"!has(self.online) || {given('round.evaluation.scorer', BuiltinScorer.BFCL)} != '{BuiltinScorer.LOSS}'",
        "online judges answers: it needs another round.evaluation.scorer than Loss",
    ),
    cel(
        f"!has(self.online) || !({_POLICY} in "
        f"[{', '.join(repr(str(p)) for p in BuiltinPolicy if p is not BuiltinPolicy.BITAGENT)}])",
        "online is paid by policy BitAgent, or by one of a package: remove online, or name such a policy",
    ),
)


class WithoutResult(StrEnum):
    """What becomes of the part of a competition that pays no hotkey."""

    REDISTRIBUTE = "Redistribute"
    """It goes to the other competitions."""
    BURN = "Burn"
    """It goes to the target of `weights.burn`, from the first setting on."""
    HOLD = "Hold"
    """The hotkeys that it paid last keep it; it goes to the others while there are none."""


class Competition(Model):
    """One competition: a series of rounds, one per epoch, that determines a share of the validator's weights."""

    model_config = {"json_schema_extra": _COMPETITION_RULES}

    id: Annotated[str, Field(max_length=16, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    """id names the competition; a round is named after validator, id and epoch."""
    reward_share: Annotated[int, Field(ge=1, le=100)] = _REWARD_SHARE
    """rewardShare is the percentage of the weights that this competition determines; all shares add up to 100."""
    schedule: Schedule
    """schedule defines the epochs."""
    round: RoundTemplate
    """round is the template of each round."""
    policy: PolicyName = BuiltinPolicy.BITAGENT
    """policy is the rule by which scores become weights: BitAgent, WinRate, WinnerTakesAll, Fixed, or one of a package
    in the validator image."""
    policy_parameters: PolicyParameters | None = None
    """policyParameters are the parameters of that policy; absent: its defaults."""
    smoothing: Smoothing = Smoothing()
    """smoothing defines over how many rounds a miner's results count."""
    unscored: Unscored = Unscored.CARRY_FORWARD
    """unscored is what a miner earns by a round in which all attempts at its model failed: CarryForward or Nothing."""
    duplicates: Duplicates = Duplicates.FLAG
    """duplicates is what near copies of another hotkey's earlier model earn: Flag pays them by their scores,
    EarliestEarns pays only the earliest. Exact copies never earn anything."""
    unsupported_claims: UnsupportedClaims = UnsupportedClaims.BELIEVE
    """unsupportedClaims is what becomes of a model whose miner.commitBlock neither discovery has written nor a
    commitment of its hotkey on the chain supports: Believe, or Refuse, by which it earns nothing in that round."""
    without_result: WithoutResult = WithoutResult.REDISTRIBUTE
    """withoutResult is what becomes of the competition's part of the weights while it pays no hotkey: Redistribute,
    Burn or Hold."""
    mechanism: Annotated[int, Field(ge=0, le=7)] = 0
    """mechanism is the number of the subnet's mechanism that this competition sets the weights of; the reward shares of
    the competitions of one mechanism are relative to each other."""
    history_limit: Annotated[int, Field(ge=1, le=100)] = 5
    """historyLimit is the number of finished rounds of this competition to keep; older ones are deleted."""
    online: Online | None = None
    """online asks miners a fresh task now and then, and pays their answers beside their models; absent: miners are not
    asked."""


class WeightsMode(StrEnum):
    """Whether weights are computed and submitted."""

    SET = "Set"
    """Computed and submitted to the chain."""
    DRY_RUN = "DryRun"
    """Computed and reported, never submitted."""
    OFF = "Off"
    """Not computed; rounds still run."""


class Fill(StrEnum):
    """What is set when fewer hotkeys are paid than the subnet's smallest row has."""

    BURN = "Burn"
    """The target of `weights.burn` gets everything if no hotkey is paid, else the smallest weight; if the row is still
    too short, other hotkeys get the smallest weight as well."""
    EQUAL = "Equal"
    """All hotkeys get the same weight if none is paid; else those that are not paid get the smallest weight."""
    NONE = "None"
    """Nothing is set; the weights on the chain are set again before they expire."""


SUBNET_OWNER = "SubnetOwner"
"""The target of burning that is read from the chain."""


class Burn(Model):
    """Weights for the subnet's owner, which the chain does not pay out."""

    percentage: Annotated[int, Field(ge=0, le=100)] = 0
    """percentage is the part of all weights that is burnt; the rest is shared as without it."""
    target: Annotated[str, Field(max_length=48, pattern=rf"^({SUBNET_OWNER}|[1-9A-HJ-NP-Za-km-z]{{46,48}})$")] = (
        SUBNET_OWNER
    )
    """target is SubnetOwner, the hotkey of the subnet's owner as the chain has it at each setting, or a hotkey, which
    must belong to the owner's coldkey."""


class Guard(Model):
    """Limits beyond which a row is held until a person accepts it."""

    minimum_models: Annotated[int, Field(ge=1, le=1024)] | None = None
    """minimumModels is the number of models with a score below which a competition's result is not paid."""
    maximum_change_percent: Annotated[int, Field(ge=1, le=100)] | None = None
    """maximumChangePercent is the largest part of all weights that may go to other hotkeys than in the row before."""


class Weights(Model):
    """Submission of weights."""

    mode: WeightsMode = WeightsMode.SET
    """mode is Set, DryRun or Off."""
    version_key: Annotated[int, Field(ge=0, le=2**53)] = 0
    """versionKey is sent with the weights; the subnet rejects one below its own."""
    follow_version_key_up_to: Annotated[int, Field(ge=0, le=2**53)] = 0
    """followVersionKeyUpTo sends the subnet's own key, read right before each setting, where that is above `versionKey`
    and at most this."""
    timeout_seconds: Annotated[int, Field(ge=5, le=600)] = 120
    """timeoutSeconds is the hard limit of one submission, finalisation included. After it the submitting process is
    killed, and the outcome is read from the chain."""
    fill: Fill = Fill.BURN
    """fill is what is set when fewer hotkeys are paid than the subnet's smallest row has: Burn, Equal or None."""
    burn: Burn = Burn()
    """burn is the part of the weights that the subnet's owner gets, and who that is."""
    guard: Guard = Guard()
    """guard holds a row that rests on few models or differs much from the last one. The annotation
    `bitagent.io/accept-weights-M` of the Validator, with the mechanism's number and the value that the condition names,
    lets it pass."""


class ValidatorSpec(Model):
    """Subnet, chain, hotkey, competitions and weights of the validator."""

    model_config = {
        "json_schema_extra": rules(
            cel(
                f"self.competitions.map(c, has(c.rewardShare) ? c.rewardShare : {_REWARD_SHARE}).sum() == 100",
                "the rewardShare of all competitions must add up to 100",
            ),
            cel(
                "has(self.rewriter) || self.competitions.all(c, !has(c.round.tasks.alterations) || "
                "c.round.tasks.alterations.all(a, !has(a.rewrite) || has(a.rewrite.url)))",
                "a rewrite without a url is the work of the Validator's own rewriter: give spec.rewriter, or a url",
            ),
        )
    }

    netuid: Annotated[int, Field(ge=1, le=65535)]
    """netuid is the number of the subnet; 0 is the root network, whose weights are not set this way."""
    chain: Chain
    """chain has the endpoints of the chain."""
    wallet: Wallet
    """wallet is the account that sets weights."""
    competitions: Annotated[list[Competition], Field(min_length=1, max_length=8, json_schema_extra=map_list("id"))]
    """competitions run side by side; their reward shares add up to 100."""
    weights: Weights = Weights()
    """weights defines whether and how weights are set."""
    rewriter: Rewriter | None = None
    """rewriter is the language model that rewords the questions of rounds whose `rewrite` names no url."""
    discovery: Discovery | None = None
    """discovery turns what miners submit on the chain, or by their axons, into MinerModels; absent: the validator makes
    none."""
    tracking: Tracking | None = None
    """tracking has services that steps of online evaluation are reported to; absent: none."""
    rounds_without_permit: bool = False
    """roundsWithoutPermit starts rounds also while the hotkey is not registered or may not set weights; otherwise no
    GPU works for weights that cannot be set. Rounds of modes DryRun and Off need no permit."""
    suspend: bool = False
    """suspend stops the validator pod; running rounds continue."""

    @property
    def mechanisms(self) -> list[int]:
        """The mechanisms that weights are set for, in their order."""
        return sorted({competition.mechanism for competition in self.competitions})


class RefusedClaim(StatusModel):
    """A model whose claim to a commitment the chain contradicts."""

    model: Name
    """model is the MinerModel."""
    message: ShortText
    """message says what the chain has instead."""


class CurrentRound(StatusModel):
    """Latest round of one competition."""

    competition: ShortText
    """competition is the competition's id."""
    round: Name
    """round is the EvalRound's name."""
    epoch: Count
    """epoch is the number of the epoch, counted from block 0."""
    block: Count
    """block is the epoch's first block."""
    refused_claims: Annotated[list[RefusedClaim], Field(max_length=16)] = []
    """refusedClaims are models that earn nothing because the chain contradicts their commitBlock; at most 16."""


class LastWeights(StatusModel):
    """Last weights that the chain accepted."""

    block: Count
    """block is the number of the block that contains the extrinsic."""
    at: Time
    """at is the time of that block."""
    rounds: Annotated[list[Name], Field(max_length=8)]
    """rounds are the EvalRounds from which the weights were computed."""
    digest: Digest
    """digest is the SHA-256 of the weights by hotkey."""
    extrinsic: ShortText
    """extrinsic identifies the submission on the chain, `block-index`."""
    hotkeys: Count
    """hotkeys is the number of accounts with a weight above 0."""


class HotkeyWeight(StatusModel):
    """Weight of one account."""

    hotkey: Hotkey
    """hotkey is the account."""
    weight: Annotated[str, Field(max_length=10, pattern=r"^[01]\.[0-9]{6,8}$")]
    """weight is the account's share of all weights, from 0 to 1."""


class UnpaidHotkey(StatusModel):
    """A hotkey with a model that earns nothing by one competition."""

    competition: ShortText
    """competition is the competition's id."""
    hotkey: Hotkey
    """hotkey is the account."""
    reason: Annotated[Standing, Open()]
    """reason is why it earns nothing: NotChosen, AtBaseline, NearCopy, Duplicate, Rejected, ModelFault, Unscored,
    NotInRound, AwaitsScore, RegisteredAgain, NotRegistered or Validator; a later version may have more of them."""


class ValidatorStatus(StatusModel):
    """State of the validator pod and of its weights; the operator writes only the Deployed condition."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """observedGeneration is the generation of the spec that the operator has acted on, and that Ready is about."""
    hotkey: Hotkey | None = None
    """hotkey is the account of the mounted key."""
    uid: Annotated[int, Field(ge=0, le=65535)] | None = None
    """uid is the number of the hotkey's slot on the subnet."""
    block: Count | None = None
    """block is the number of the last finalised block seen."""
    current_rounds: Annotated[list[CurrentRound], Field(max_length=8, json_schema_extra=map_list("competition"))] = []
    """currentRounds has the latest round of each competition."""
    rounds: ShortText = ""
    """rounds names the latest round of each competition, for display."""
    last_weights: LastWeights | None = None
    """lastWeights is the last submission that the chain accepted."""
    weights: Annotated[list[HotkeyWeight], Field(max_length=1024, json_schema_extra=map_list("hotkey"))] = []
    """weights are the last computed weights, by hotkey."""
    unpaid: Annotated[
        list[UnpaidHotkey], Field(max_length=256, json_schema_extra=map_list("competition", "hotkey"))
    ] = []
    """unpaid are the hotkeys with a model that earn nothing by a competition, and why; at most 256, those with a score
    first."""
    rewriter: RewriterStatus | None = None
    """rewriter is the model of `spec.rewriter`; written by the operator."""
    discovery: DiscoveryStatus | None = None
    """discovery is what `spec.discovery` found; absent without it."""
    online: Annotated[list[OnlineStatus], Field(max_length=8, json_schema_extra=map_list("competition"))] = []
    """online has the online evaluation of each competition that asks for it."""
    conditions: Conditions = []
    """conditions are Ready, Stalled, Deployed, ChainConnected, Registered, Permitted, RoundCurrent, WeightsCurrent,
    PassComplete and, with `spec.rewriter`, RewriterReady, with `competitions[].online`, OnlineCurrent."""
    message: Text = ""
    """message is a human-readable sentence on what the validator is doing."""


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
            READY,
            REASON,
            Column("Last-Block", ".status.lastWeights.block", "integer"),
            Column("Last-Set", ".status.lastWeights.at", "date"),
            Column("Rounds", ".status.rounds", priority=1),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )
    spec: ValidatorSpec
    """spec has the subnet, chain, hotkey, competitions and weights of the validator."""
    status: ValidatorStatus | None = None
    """status is written by the validator pod; Ready, Stalled, Deployed and observedGeneration by the operator."""
