"""How a round evaluates its models: scoring and prompts, and the resources of evaluation Jobs."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from bitagent_crds.fields import (
    Commit,
    Count,
    Digest,
    Label,
    Labels,
    Name,
    ObjectName,
    PluginName,
    PromptFormatName,
    Quantity,
    ResourceName,
    TaintKey,
)
from bitagent_crds.minermodel import EngineChoices
from bitagent_crds.schema import Model, cel, rules
from bitagent_crds.task_forms import BuiltinPromptFormat

ScorerName = PluginName


class BuiltinScorer(StrEnum):
    """Built-in rules by which answers are scored."""

    BFCL = "Bfcl"
    """The official BFCL verdict of each task: 1 or 0."""
    BFCL_STRICT = "BfclStrict"
    """As Bfcl, but a task that expects any call is passed only by calls of functions that it offers, with their
    arguments."""
    BITAGENT_2024_11 = "BitAgent202411"
    """The BitAgent subnet's criteria as of November 2024, tool criteria only; the score is points over possible
    points, at least 0."""
    BITAGENT_2025_04 = "BitAgent202504"
    """The BitAgent subnet's criteria as of April 2025, likewise."""
    EXACT_MATCH = "ExactMatch"
    """1 if the answer parses to exactly the first allowed values of the ground truth, with the calls in order."""
    LOSS = "Loss"
    """The negative log-likelihood of a task's reference text, in nats per UTF-8 byte of it; the score is exp(-loss), so
    higher is better here too."""


MAX_PROMPT_TOKENS = 65_536
"""Default of maxPromptTokens: the longest conversations of BFCL fit, with their results."""


class LossNormalization(StrEnum):
    """What the negative log-likelihood of a reference text is divided by."""

    BYTE = "Byte"
    """The UTF-8 bytes of the text, which no tokenizer changes."""
    TOKEN = "Token"
    """The tokens of the text and its end, as reference implementations do; for models that share a tokenizer."""


class LossParameters(Model):
    """Parameters of loss measurement."""

    model_config = {
        "json_schema_extra": rules(
            cel(
                "!has(self.sequenceLength) || (has(self.normalization) && self.normalization == 'Token')",
                "sequenceLength belongs to normalization Token; referenceBytes bounds a text in bytes",
            ),
            cel(
                "!has(self.referenceBytes) || !has(self.normalization) || self.normalization == 'Byte'",
                "referenceBytes belongs to normalization Byte; sequenceLength bounds a text in tokens",
            ),
        )
    }

    normalization: LossNormalization = LossNormalization.BYTE
    """normalization is the unit of a loss. Byte: nats per UTF-8 byte of the reference, whatever the model's tokenizer.
    Token: nats per token, for models that share a tokenizer and for comparison with other programs."""
    reference_bytes: Annotated[int, Field(ge=1, le=131072)] | None = None
    """referenceBytes is the maximum length of a reference in UTF-8 bytes; the rest is cut at a character before
    anything is tokenized. Only with normalization Byte; absent: 4096."""
    sequence_length: Annotated[int, Field(ge=16, le=131072)] | None = None
    """sequenceLength is the maximum number of tokens of prompt and reference together; the rest is cut. Only with
    normalization Token; absent: 2048."""
    batches: Annotated[int, Field(ge=1, le=32)] = 16
    """batches is the number of parts that the samples are split into, in order. The mean loss of each part is
    reported, for pairwise policies."""

    def settled(self) -> LossParameters:
        """Return the parameters with the bound that belongs to the normalization, its default if none is given."""
        if self.normalization is LossNormalization.BYTE:
            bounds = {"reference_bytes": self.reference_bytes or DEFAULT_REFERENCE_BYTES, "sequence_length": None}
        else:
            bounds = {"reference_bytes": None, "sequence_length": self.sequence_length or DEFAULT_SEQUENCE_LENGTH}
        return self.model_copy(update=bounds)


DEFAULT_REFERENCE_BYTES = 4096
DEFAULT_SEQUENCE_LENGTH = 2048


class Aggregation(StrEnum):
    """How the scores of tasks become a model's score."""

    MEAN = "Mean"
    """The mean over all tasks."""
    KINDS = "Kinds"
    """The mean over the kinds of tasks of the mean within each kind, so that kinds weigh equally whatever their
    numbers of tasks."""


class Thinking(StrEnum):
    """Whether models are asked to think before they answer."""

    TEMPLATE = "Template"
    """What a model's chat template does by itself."""
    ON = "On"
    """The template is asked for a model that thinks."""
    OFF = "Off"
    """The template is asked for a model that answers at once."""

    @property
    def switch(self) -> bool | None:
        """The value for the template's variables; None: they are not set."""
        return None if self is Thinking.TEMPLATE else self is Thinking.ON


_GENERATES = "!has(self.scorer) || self.scorer != 'Loss'"


class Evaluation(Model):
    """How models are prompted and their answers scored."""

    model_config = {
        "json_schema_extra": rules(
            cel("!has(self.loss) || (has(self.scorer) && self.scorer == 'Loss')", "loss belongs to scorer Loss"),
            cel(
                f"(!has(self.thinking) || self.thinking == 'Template') && !has(self.maxThoughtTokens) || {_GENERATES}",
                "scorer Loss measures given texts: thinking and maxThoughtTokens do not apply to it",
            ),
        )
    }

    scorer: ScorerName = BuiltinScorer.BFCL
    """scorer is the rule by which answers are scored: Bfcl, BfclStrict, BitAgent202411, BitAgent202504, ExactMatch,
    Loss, or one of a package in the evaluator image. The task-set Job refuses tasks that the scorer cannot judge."""
    aggregate: Aggregation = Aggregation.MEAN
    """aggregate is how the scores of tasks become a model's score. Mean: all tasks weigh equally. Kinds: kinds of tasks
    weigh equally: one call with one function offered, with several, several calls, no call, any call, conversations,
    texts."""

    prompt_format: PromptFormatName = BuiltinPromptFormat.AUTO
    """promptFormat applies to all models; Auto leaves it to each MinerModel. The others are Bfcl, BitAgent,
    ChatTemplate, Hammer, Alpaca, Vicuna, ChatML, Llama2, or one of a package in the evaluator image."""
    thinking: Thinking = Thinking.TEMPLATE
    """thinking says whether models think before they answer, by the variables enable_thinking and thinking of their
    chat templates: On, Off, or Template, which sets neither. A template that reads neither, and a promptFormat that
    does not use the template, make the same prompt in any case."""
    max_tokens: Annotated[int, Field(ge=1, le=8192)] = 256
    """maxTokens is the maximum length of one answer, in tokens."""
    max_thought_tokens: Annotated[int, Field(ge=1, le=131072)] | None = None
    """maxThoughtTokens is the maximum length of the thought before an answer, with the marks around it, in tokens;
    maxTokens is then for the answer alone. A longer thought is cut off, and no answer follows. Absent: maxTokens is for
    both."""
    max_prompt_tokens: Annotated[int, Field(ge=256, le=131072)] = MAX_PROMPT_TOKENS
    """maxPromptTokens is the maximum length of one prompt by the model's own tokenizer. A task whose prompt is longer
    is not asked and fails."""
    mean_answer_tokens: Annotated[int, Field(ge=1, le=8192)] | None = None
    """meanAnswerTokens times the number of tasks is the number of tokens that a model may generate in all. Tasks that
    are left when they are spent fail. Absent: only maxTokens bounds an answer."""
    generate_seconds: Annotated[int, Field(ge=10, le=604800)] | None = None
    """generateSeconds is the time that a model may take to generate all answers, over all attempts. Tasks without an
    answer by then fail. Absent: half of workload.deadlineSeconds."""
    loss: LossParameters | None = None
    """loss has the parameters of scorer Loss; absent: the defaults."""


class RunSpec(Model):
    """One run: a model, a task set, and every choice that the result depends on.

    It is made once, from a round or a command line, and goes unchanged into the Job, the journal of the answers and
    the manifest of the results. A choice that is added here reaches all three.
    """

    repo: str
    """Origin of the model: repository, volume, directory, or name at an endpoint."""
    commit: Commit | None = None
    """Commit of the model; None for a directory or an endpoint."""
    weights_digest: Digest | None = None
    """Digest of the weights, as in the model's facts; None if unknown, as at an endpoint."""
    model_digest: Digest | None = None
    """Digest of everything that decides the model's answers, as in its facts; None if unknown."""
    task_set_digest: Digest
    """SHA-256 of tasks.jsonl."""
    prompt_format: PromptFormatName = BuiltinPromptFormat.AUTO
    """Format of the prompts; Auto leaves the choice to the evaluator. The run of a result names the format that was
    used."""
    thinking: Thinking | None = None
    """Whether the model is asked to think before it answers; None: not asked, as Template says."""
    max_tokens: Count
    """Maximum length of one answer, in tokens."""
    max_thought_tokens: Count | None = None
    """Maximum length of the thought before an answer, in tokens; None: both share `max_tokens`."""
    engine: EngineChoices = EngineChoices()
    """Choices of the submission for the inference engine."""
    scorer: ScorerName = BuiltinScorer.BFCL
    """Rule by which answers are scored."""
    aggregate: Aggregation = Aggregation.MEAN
    """How the scores of tasks become the score of the model."""
    loss: LossParameters | None = None
    """Parameters of scorer Loss; None: the defaults."""
    max_prompt_tokens: Count | None = None
    """Maximum length of one prompt, in tokens; None: what the model allows."""
    mean_answer_tokens: Count | None = None
    """Generated tokens per task that a model may spend over all tasks; None: no such budget."""
    generate_seconds: Count | None = None
    """Seconds that a model may generate, over all attempts; None: no limit. Which tasks are left then depends on the
    machine, so a result that reached it cannot be repeated exactly."""

    @field_validator("thinking")
    @classmethod
    def _omit_template(cls, value: Thinking | None) -> Thinking | None:
        """Equal runs have equal keys: nothing is asked of the template in one way only."""
        return None if value is Thinking.TEMPLATE else value

    @property
    def thinking_switch(self) -> bool | None:
        """The value for the variables of chat templates that switch thinking; None: they are not set."""
        return None if self.thinking is None else self.thinking.switch

    @property
    def loss_parameters(self) -> LossParameters:
        """Parameters of scorer Loss, with defaults for what is not given."""
        return (self.loss or LossParameters()).settled()


def longest_answer(run: Evaluation | RunSpec) -> int:
    """Return the most tokens that a model may generate for one prompt: an answer, and a thought before it."""
    return run.max_tokens + (run.max_thought_tokens or 0)


_EXISTS_WITHOUT_VALUE = "operator Exists takes no value: remove value, or use operator Equal"
_EMPTY_KEY_EXISTS = "a toleration without a key tolerates every taint and needs operator Exists"


class Toleration(Model):
    """A node taint that evaluation pods tolerate, as in core/v1."""

    model_config = {
        "json_schema_extra": rules(
            cel(
                "!has(self.operator) || self.operator != 'Exists' || !has(self.value) || self.value == ''",
                _EXISTS_WITHOUT_VALUE,
            ),
            cel(
                "(has(self.key) && self.key != '') || (has(self.operator) && self.operator == 'Exists')",
                _EMPTY_KEY_EXISTS,
            ),
        )
    }

    key: TaintKey = ""
    """key of the taint; empty with operator Exists tolerates every key."""
    operator: Annotated[str, Field(json_schema_extra={"enum": ["Exists", "Equal"]}, pattern=r"^(Exists|Equal)$")] = (
        "Equal"
    )
    """operator relates key and value."""
    value: Label = ""
    """value of the taint, for operator Equal."""
    effect: Annotated[
        str,
        Field(
            json_schema_extra={"enum": ["", "NoSchedule", "PreferNoSchedule", "NoExecute"]},
            pattern=r"^(NoSchedule|PreferNoSchedule|NoExecute)?$",
            max_length=16,
        ),
    ] = ""
    """effect of the taint; empty tolerates every effect."""

    @model_validator(mode="after")
    def _check_operator(self) -> Toleration:
        if self.operator == "Exists" and self.value:
            raise ValueError(_EXISTS_WITHOUT_VALUE)
        if self.operator != "Exists" and not self.key:
            raise ValueError(_EMPTY_KEY_EXISTS)
        return self


class Resources(Model):
    """Resources of one evaluation pod; requests and limits are equal."""

    gpus: Annotated[int, Field(ge=0, le=8)] = 1
    """gpus is the number of GPUs of one evaluation pod; 0: it runs on CPUs, which needs an evaluator image for CPUs."""
    gpu_resource_name: ResourceName | None = None
    """gpuResourceName is the resource by which they are requested, such as amd.com/gpu or nvidia.com/mig-1g.10gb.
    Absent: as the operator is configured."""
    cpu: Quantity = "4"
    """cpu is the CPU request."""
    memory: Quantity = "16Gi"
    """memory is the memory request and limit."""
    ephemeral_storage: Quantity = "4Gi"
    """ephemeralStorage is the request of the node's disk, and the size limit of /tmp, where the engine compiles."""


MAX_PACK = 8
"""Models of one pack at most: the kubelet keeps 12 KiB of termination messages of a pod, and each has a part of it."""


class PackingMode(StrEnum):
    """Which models one Job may evaluate."""

    PER_MODEL = "PerModel"
    SAME_ARCHITECTURE = "SameArchitecture"


class Packing(Model):
    """Whether one Job evaluates several models with one engine."""

    mode: PackingMode = PackingMode.PER_MODEL
    """mode is PerModel, a Job for each model, or SameArchitecture: a Job takes several models whose weights fit one
    engine, one after the other. Scores are the same; a fault of one model concerns no other."""
    max_models: Annotated[int, Field(ge=2, le=MAX_PACK)] = 4
    """maxModels is the largest number of models of one Job. Its deadline is workload.deadlineSeconds times its
    models."""


DEADLINE_SECONDS = 7200
"""Default of deadlineSeconds."""
STALL_SECONDS = 900
"""Bound without stallSeconds: longer than the evaluator's own, which sees an engine that hangs and names it first."""


MAX_SHARDS = 64
"""Most pods that share the tasks of one model."""


class Workload(Model):
    """How evaluation Jobs run."""

    resources: Resources = Resources()
    """resources of one evaluation pod."""
    parallelism: Annotated[int, Field(ge=1, le=1024)] = 8
    """parallelism is the maximum number of unfinished evaluation Jobs, when no queue limits them."""
    shards: Annotated[int, Field(ge=2, le=MAX_SHARDS)] | None = None
    """shards is the number of pods that share the tasks of one model, each with its own resources: for task sets that
    would take one pod too long. The result is that of one pod. Bounds of time and maxAttempts are for each shard;
    parallelism and weight count Jobs, whatever their shards.
    Absent: one pod. Models in shards are not packed."""
    queue_name: Name | None = None
    """queueName is a LocalQueue of Kueue: all Jobs are created at once, suspended and with the queue's label."""
    queue_priority_class_name: Name | None = None
    """queuePriorityClassName is a WorkloadPriorityClass of Kueue: which Jobs the queue admits first, and preempts.
    Absent: Kueue takes priorityClassName. Neither preemption nor waiting costs an attempt."""
    weight: Annotated[int, Field(ge=1, le=100)] = 1
    """weight is the round's share of the Jobs that all rounds of the namespace may run at once, in proportion to the
    weights of the others, if the operator has such a bound (`evaluations.maxParallel`). A queue decides by itself."""
    deadline_seconds: Annotated[int, Field(ge=60, le=604800)] = DEADLINE_SECONDS
    """deadlineSeconds is the time that one attempt may take from when a node has accepted its pod: the pull of the
    image counts, and waiting for a GPU does not. An attempt that reaches it ends its Job."""
    start_timeout_seconds: Annotated[int, Field(ge=10, le=604800)] | None = None
    """startTimeoutSeconds is the time that an admitted Job may wait until a container of an attempt runs: for a node, a
    quota, volumes, an image; or in a queue that does not exist or is stopped. Past it the evaluation ends as a fault of
    the infrastructure, with what it waited for.
    Absent: it waits as long as the round lasts, and the result says for what."""
    stall_seconds: Annotated[int, Field(ge=60, le=604800)] | None = None
    """stallSeconds is the time without any progress after which a container that still runs counts as stalled: its Job
    is deleted, and another one made, maxAttempts times in all; then the evaluation gives up as after a deadline. In a
    pack its engine's process is ended, and the evaluation is repeated in a Job of its own.
    Absent: 900. A bound of deadlineSeconds or more never acts; an image that serves no progress cannot stall."""
    max_attempts: Annotated[int, Field(ge=1, le=10)] = 3
    """maxAttempts is the number of times an evaluation is started before an infrastructure fault is final."""
    max_disruptions: Annotated[int, Field(ge=0, le=20)] = 5
    """maxDisruptions is the number of times that pods of an evaluation may be evicted, preempted or lose their node.
    These do not count as attempts; one more ends the evaluation as a fault of the infrastructure."""
    node_selector: Labels = {}
    """nodeSelector restricts evaluation pods to nodes with these labels."""
    tolerations: Annotated[list[Toleration], Field(max_length=16)] = []
    """tolerations of evaluation pods."""
    runtime_class_name: ObjectName | None = None
    """runtimeClassName of evaluation pods, such as nvidia or a sandboxed runtime."""
    priority_class_name: ObjectName | None = None
    """priorityClassName of evaluation pods."""
