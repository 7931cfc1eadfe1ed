"""MinerModel: one submission. Facts and hard safety belong to the model; what a competition allows is each round's policy."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from bitagent_crds.conditions import Conditions
from bitagent_crds.fields import (
    Commit,
    Count,
    Digest,
    Hotkey,
    JobSecretKey,
    Name,
    ObjectName,
    Path,
    PromptFormat,
    Repo,
    Revision,
    Score,
    ShortText,
    Time,
)
from bitagent_crds.schema import Column, Kind, Model, Resource, cel, exactly_one, rules


class HuggingFaceSource(Model):
    """A repository on a Hugging Face hub."""

    repo: Repo
    """repo is the repository, `owner/name`."""
    revision: Revision = "main"
    """revision is a branch, tag or commit. A branch or tag is resolved to a commit once per round; quantised variants are ordinary revisions."""
    token_secret_ref: JobSecretKey | None = None
    """tokenSecretRef is the key of a Secret that holds a hub token, for private or gated repositories; only the fetch Job sees it."""


class VolumeSource(Model):
    """A directory of a PersistentVolumeClaim in the same namespace, for models that are on no hub."""

    claim_name: ObjectName
    """claimName is the PersistentVolumeClaim; the fetch Job mounts it read-only."""
    path: Path
    """path is the model's directory inside the volume."""


class ModelSource(Model):
    """Where the model's files are; exactly one member is set."""

    model_config = {"json_schema_extra": rules(exactly_one("huggingFace", "volume"))}

    hugging_face: HuggingFaceSource | None = None
    """huggingFace is a repository on the hub that the operator is configured with."""
    volume: VolumeSource | None = None
    """volume is a directory of a PersistentVolumeClaim."""


class Miner(Model):
    """Who submitted the model."""

    hotkey: Hotkey
    """hotkey is the miner's account (ss58); the validator pays it for this model's score."""
    commit_block: Count | None = None
    """commitBlock is the block of the miner's commitment. Of models with equal weights the earliest commitBlock owns the score. The revision
    must then be that commit."""


class DType(StrEnum):
    """Number format of weights and activations in the engine."""

    AUTO = "Auto"
    BFLOAT16 = "BFloat16"
    FLOAT16 = "Float16"
    FLOAT32 = "Float32"


class Engine(Model):
    """Bounded choices for the inference engine; free arguments are never accepted."""

    dtype: DType = DType.AUTO
    """dtype is the number format in the engine; Auto takes the checkpoint's own."""
    max_model_length: Annotated[int, Field(ge=256, le=131072)] | None = None
    """maxModelLength bounds prompt plus answer, in tokens; absent: as long as the task set needs and the model allows."""


class MinerModelSpec(Model):
    """What is submitted."""

    model_config = {
        "json_schema_extra": rules(
            cel(
                "!has(self.miner) || !has(self.miner.commitBlock) || !has(self.source.huggingFace) || "
                "self.source.huggingFace.revision.matches('^[0-9a-f]{40}$')",
                "commitBlock belongs to a commit: give its 40 digits as revision, because what a branch or tag names can be replaced after that block",
            )
        )
    }

    source: ModelSource
    """source says where the files are."""
    miner: Miner | None = None
    """miner is who submitted the model; absent for models that take part in no subnet."""
    prompt_format: PromptFormat = PromptFormat.AUTO
    """promptFormat is how tasks become prompts for this model, when the round leaves it open."""
    engine: Engine = Engine()
    """engine bounds how the model is run."""
    suspend: bool = False
    """suspend keeps the model out of new rounds and stops fetching it."""


class ModelFacts(Model):
    """What the fetch Job established about one commit, from headers and small files only."""

    commit: Commit
    """commit is the resolved commit; for a volume source the first 40 hex digits of the files' digest."""
    size_bytes: Count
    """sizeBytes is the total size of the files that are fetched."""
    parameters: Count
    """parameters is the number of parameters by the weight headers; packed quantised weights count unpacked."""
    architecture: ShortText
    """architecture is the class named in the configuration, such as Qwen2ForCausalLM."""
    license: ShortText = ""
    """license is the licence named in the repository's card, in lower case; empty when none is named."""
    quantization: ShortText = ""
    """quantization is the method in the configuration (gptq, awq, ...); empty for plain weights."""
    weights_digest: Digest
    """weightsDigest identifies the weights: equal digests are equal models, whatever the repository or commit is called."""
    template_digest: Digest | None = None
    """templateDigest is the SHA-256 of the chat template; absent when the model ships none."""


class ResolvedModel(ModelFacts):
    """Facts, and when they were read."""

    at: Time
    """at is when the revision was resolved."""


class RoundScore(Model):
    """The outcome of one round for this model."""

    round: Name
    """round is the EvalRound."""
    score: Score
    """score is the mean of the tasks' scores."""
    rank: Annotated[int, Field(ge=1)]
    """rank is the place in the round, 1 is best; equal scores share a rank."""
    at: Time
    """at is when the round completed."""


class MinerModelStatus(Model):
    """What is known of the submission."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """observedGeneration is the generation of the spec that this status describes."""
    resolved: ResolvedModel | None = None
    """resolved holds the facts of the commit that the revision points to."""
    latest: RoundScore | None = None
    """latest is the outcome of the last complete round."""
    history: Annotated[list[RoundScore], Field(max_length=10)] = []
    """history holds the last ten outcomes, newest first."""
    conditions: Conditions = []
    """conditions are Resolved, Safe, Fetched and Evaluated."""


class MinerModel(Resource):
    """A model that a miner submitted."""

    crd: ClassVar[Kind] = Kind(
        kind="MinerModel",
        plural="minermodels",
        short_names=("mm",),
        name_max=52,
        columns=(
            Column("Repo", ".spec.source.huggingFace.repo"),
            Column("Commit", ".status.resolved.commit", priority=1),
            Column("Hotkey", ".spec.miner.hotkey", priority=1),
            Column("Safe", '.status.conditions[?(@.type=="Safe")].status'),
            Column("Fetched", '.status.conditions[?(@.type=="Fetched")].status'),
            Column("Reason", '.status.conditions[?(@.type=="Fetched")].reason'),
            Column("Score", ".status.latest.score"),
            Column("Rank", ".status.latest.rank", "integer"),
            Column("Round", ".status.latest.round", priority=1),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )
    spec: MinerModelSpec
    """spec is what was submitted."""
    status: MinerModelStatus | None = None
    """status is written by the operator."""
