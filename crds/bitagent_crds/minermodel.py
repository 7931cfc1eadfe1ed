"""MinerModel: one submitted model, its facts and its safety. Each round defines which models it admits."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import (
    Field,
    JsonValue,
    SerializeAsAny,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_serializer,
    model_validator,
)

from bitagent_crds.fields import (
    Commit,
    CommitmentHash,
    Count,
    Digest,
    Hotkey,
    JobSecretKey,
    Name,
    ObjectName,
    Path,
    PromptFormatName,
    Repo,
    Revision,
    Score,
    ShortText,
    SimilaritySketch,
    Time,
)
from bitagent_crds.schema import (
    REASON,
    Column,
    Kind,
    Model,
    Resource,
    StatusModel,
    cel,
    exactly_one,
    has_exactly_one,
    rules,
)
from bitagent_crds.status import Conditions
from bitagent_crds.task_forms import BuiltinPromptFormat


class HuggingFaceSource(Model):
    """A repository on a Hugging Face hub."""

    repo: Repo
    """repo is the repository, `owner/name`."""
    revision: Revision = "main"
    """revision is a branch, tag or commit. A branch or tag is resolved to a commit once per round. Quantised variants
    are ordinary revisions."""
    token_secret_ref: JobSecretKey | None = None
    """tokenSecretRef is a hub token for private or gated repositories; only the fetch Job sees it."""


class VolumeSource(Model):
    """A directory of a PersistentVolumeClaim in the same namespace, for models outside a hub."""

    claim_name: ObjectName
    """claimName is the PersistentVolumeClaim; the fetch Job mounts it read-only."""
    path: Path
    """path is the model's directory inside the volume."""


class ModelSource(Model):
    """Location of the model's files; exactly one member is set."""

    model_config = {"json_schema_extra": rules(exactly_one("huggingFace", "volume"))}

    hugging_face: HuggingFaceSource | None = None
    """huggingFace is a repository on the hub of the operator's configuration."""
    volume: VolumeSource | None = None
    """volume is a directory of a PersistentVolumeClaim."""

    @model_validator(mode="after")
    def _has_one(self) -> ModelSource:
        return has_exactly_one(self, "hugging_face", "volume")


class Miner(Model):
    """The miner who submitted the model."""

    hotkey: Hotkey
    """hotkey is the miner's account (SS58); the validator weights it by this model's score."""
    commit_block: Count | None = None
    """commitBlock is the block of the miner's commitment. Of models with equal weights the earliest commitBlock owns
    the score. The revision must then be that commit."""
    commitment_hash: CommitmentHash | None = None
    """commitmentHash is the hash of the files that the miner has committed to, by the rule of the finetuning subnets
    (SHA-256 in base64, with or without the hotkey); files with another one are refused (CommitmentMismatch). Absent:
    it is not compared."""


class DType(StrEnum):
    """Number format of weights and activations in the inference engine."""

    AUTO = "Auto"
    BFLOAT16 = "BFloat16"
    FLOAT16 = "Float16"
    FLOAT32 = "Float32"


class EngineChoices(Model):
    """Choices for the inference engine; arbitrary arguments are never accepted."""

    dtype: DType = DType.AUTO
    """dtype is the number format in the engine; Auto is the checkpoint's own."""
    max_model_length: Annotated[int, Field(ge=256, le=131072)] | None = None
    """maxModelLength limits prompt and answer together, in tokens; absent: as many as the task set needs and the model
    allows."""


class LaterChoices(EngineChoices):
    """Choices with something that only a later version knows: kept as they were written, never run by this one."""

    written: dict[str, Any]

    @model_serializer(mode="plain")
    def _as_written(self) -> dict[str, Any]:
        return self.written


def _read_choices(value: object, known: ValidatorFunctionWrapHandler) -> object:
    try:
        return known(value)
    except ValidationError:
        if not isinstance(value, dict):
            raise
        return LaterChoices(written=value)


FrozenChoices = Annotated[SerializeAsAny[EngineChoices], WrapValidator(_read_choices)]
"""Choices in a status, perhaps frozen there by a later version."""
PRESERVED: dict[str, JsonValue] = {"x-kubernetes-preserve-unknown-fields": True}
"""Schema of such choices: an API server with older definitions stores what it does not know."""


class MinerModelSpec(Model):
    """The submission."""

    model_config = {
        "json_schema_extra": rules(
            cel(
                "!has(self.miner) || !has(self.miner.commitBlock) || !has(self.source.huggingFace) || "
                "self.source.huggingFace.revision.matches('^[0-9a-f]{40}$')",
                "commitBlock belongs to a commit: give its 40 digits as revision, because what a branch or tag names "
                "can be replaced after that block",
            )
        )
    }

    source: ModelSource
    """source is the location of the files."""
    miner: Miner | None = None
    """miner submitted the model; absent for models outside any subnet."""
    prompt_format: PromptFormatName = BuiltinPromptFormat.AUTO
    """promptFormat is the format of this model's prompts, when the round leaves it open: Auto, Bfcl, BitAgent,
    ChatTemplate, Hammer, Alpaca, Vicuna, ChatML, Llama2, or one of a package in the evaluator image."""
    engine: EngineChoices = EngineChoices()
    """engine has the choices for the inference engine."""
    suspend: bool = False
    """suspend keeps the model out of new rounds and stops fetching it."""


class MemoryShape(StatusModel):
    """The numbers of a model that decide how much memory an evaluation needs; see `bitagent_crds.memory`."""

    numbers: Count
    """numbers of the weights that are loaded in the engine's number format; a tied head counts once."""
    packed_bytes: Count = 0
    """packedBytes is the size of quantised weights, which are loaded as they are stored."""
    number_bytes: Annotated[int, Field(ge=2, le=4)] = 2
    """numberBytes is the size of one number in the checkpoint's own format."""
    cache_numbers: Count
    """cacheNumbers is how many numbers the keys and values of one token are, in all layers."""
    windowed_numbers: Count = 0
    """windowedNumbers is how many of them belong to layers with a sliding window."""
    window: Count = 0
    """window is the number of tokens that these layers see; their keys and values of earlier ones are not kept."""
    layer_width: Count
    """layerWidth is the width of the hidden state and of the inner layer together."""
    vocabulary: Count
    """vocabulary is the number of tokens."""
    positions: Count
    """positions is the longest sequence that the model allows, in tokens."""


class ModelFacts(StatusModel):
    """Facts about one commit, which the fetch Job reads from headers and small files only."""

    commit: Commit
    """commit is the resolved commit; for a volume source the first 40 hex digits of the files' digest."""
    size_bytes: Count
    """sizeBytes is the total size of the fetched files."""
    parameters: Count
    """parameters is the number of parameters by the weight headers; packed quantised weights are counted unpacked."""
    architecture: ShortText
    """architecture is the class named in the configuration, such as Qwen2ForCausalLM."""
    license: ShortText = ""
    """license is the licence named in the repository's card, in lower case; empty when none is named, or several."""
    card_hotkey: Hotkey | None = None
    """cardHotkey is the hotkey that the repository's card names as the owner's (`bitagent_hotkey`): of models with this
    commit, by whatever name of the repository, that hotkey's comes first."""
    quantization: ShortText = ""
    """quantization is the method in the configuration (gptq, awq, ...); empty for plain weights."""
    weights_digest: Digest | None = None
    """weightsDigest identifies the weights as tensors in bfloat16, whatever their names, files, shards and dtype: equal
    digests are copies. Absent if the weights were not read, as of an unsafe model."""
    template_digest: Digest | None = None
    """templateDigest is the SHA-256 of the chat template; absent when the model has none."""
    tokenizer_digest: Digest | None = None
    """tokenizerDigest identifies the tokenizer by all that decides ids and texts, whatever its padding, truncation and
    way of writing. Absent for an unsafe model, and in facts that an earlier version recorded."""
    model_digest: Digest | None = None
    """modelDigest identifies everything that decides the model's answers: weights, tokenizer, chat template,
    configuration and generation settings, byte for byte. Absent in facts that an earlier version recorded."""
    similarity: SimilaritySketch | None = None
    """similarity is a sketch of the weights that permutations, scaling and small noise hardly change; the sketches of
    two models are compared to find near copies. Absent if the weights were not read."""
    memory: MemoryShape | None = None
    """memory has what decides the need of memory. Absent in facts that an earlier version recorded."""
    engine_shape: Annotated[str, Field(max_length=16, pattern=r"^[0-9a-f]{16}$")] | None = None
    """engineShape identifies what an engine is built for: configuration, and names, formats and shapes of the weights.
    Models with the same one can share an engine. Absent where weights are never exchanged (quantised ones, experts),
    and in facts that an earlier version recorded."""


class ResolvedModel(ModelFacts):
    """Facts about a commit, and the time at which they were read."""

    at: Time
    """at is the time at which the revision was resolved."""


class Resolution(StatusModel):
    """The commit that a branch, tag or directory stood for at one time; its files may not be fetched yet."""

    commit: Commit
    """commit is the resolved commit; for a volume source the first 40 hex digits of the files' digest."""
    generation: Annotated[int, Field(ge=0)]
    """generation is that of the spec whose revision was resolved."""
    at: Time
    """at is the time at which it was resolved."""


class FirstSight(StatusModel):
    """When the commit was first seen that the source stands for."""

    commit: Commit
    """commit is the commit; for a volume source the first 40 hex digits of the files' digest."""
    at: Time
    """at is the time at which the operator first saw it."""


class Inspection(Resolution):
    """What is known of a commit before its files are fetched."""

    size_bytes: Count
    """sizeBytes is the total size of the files to fetch."""


class RoundScore(StatusModel):
    """Outcome of one round for this model."""

    round: Name
    """round is the EvalRound."""
    score: Score
    """score is the mean of the tasks' scores."""
    rank: Annotated[int, Field(ge=1)]
    """rank is the place in the round, 1 is best; equal scores share a rank."""
    at: Time
    """at is the time at which the round completed."""


SHORT_COMMIT = 12


class MinerModelStatus(StatusModel):
    """Observed state of the submission."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """observedGeneration is the generation of the spec that this status describes."""
    resolved: ResolvedModel | None = None
    """resolved has the facts about the commit that the revision points to."""
    short_commit: Annotated[str, Field(max_length=SHORT_COMMIT)] = ""
    """shortCommit has the first digits of the resolved commit, for display."""
    resolution: Resolution | None = None
    """resolution is what a branch, tag or directory stood for when a round last fixed its models; absent for a
    commit."""
    first_seen: FirstSight | None = None
    """firstSeen is when the operator first saw the present commit. A submission without a commitBlock that names no
    commit, or was edited, counts from then where two models have the same weights."""
    inspection: Inspection | None = None
    """inspection is the size of a commit's files, found before they are fetched. Only where each model has a volume of
    its own, which is made as large as they are."""
    attempted: Commit | None = None
    """attempted is the commit that the last fetch was about, if a round had fixed it."""
    latest: RoundScore | None = None
    """latest is the outcome of the last complete round."""
    history: Annotated[list[RoundScore], Field(max_length=10)] = []
    """history has the last ten outcomes, newest first."""
    conditions: Conditions = []
    """conditions are Ready, Stalled, Resolved, Safe, Fetched and Evaluated."""


class MinerModel(Resource):
    """A model that a miner submitted."""

    crd: ClassVar[Kind] = Kind(
        kind="MinerModel",
        plural="minermodels",
        short_names=("mm",),
        name_max=52,
        columns=(
            Column("Repo", ".spec.source['huggingFace','volume']['repo','path']"),
            Column("Commit", ".status.shortCommit", priority=1),
            Column("Hotkey", ".spec.miner.hotkey", priority=1),
            Column("Safe", '.status.conditions[?(@.type=="Safe")].status'),
            Column("Fetched", '.status.conditions[?(@.type=="Fetched")].status'),
            REASON,
            Column("Score", ".status.latest.score"),
            Column("Rank", ".status.latest.rank", "integer"),
            Column("Round", ".status.latest.round", priority=1),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )
    spec: MinerModelSpec
    """spec is the submission."""
    status: MinerModelStatus | None = None
    """status is written by the operator."""
