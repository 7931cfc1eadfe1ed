"""Files of a task set: tasks and their manifest. JSON Lines, UTF-8, snake_case keys.

taskset/  tasks.jsonl (Task a line)  manifest.json (TaskSetManifest)
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, model_validator

from bitagent_crds.evaluation import Aggregation, LossParameters, ScorerName
from bitagent_crds.fields import Digest, Loss, Score
from bitagent_crds.schema import SCHEMA_VERSION, FileModel
from bitagent_crds.task_forms import (
    SEVERAL_STEPS,
    Expects,
    FunctionDocFormat,
    Language,
    MemoryBackend,
    PromptLayout,
    PromptStyle,
    ReturnFormat,
)


class PromptVariation(FileModel):
    """One way in which the leaderboard's format sensitivity category words a prompt and reads its answer."""

    return_format: ReturnFormat = ReturnFormat.PYTHON
    """Format of the calls."""
    tool_call_tag: bool = False
    """Whether the calls must be between `<TOOLCALL>` and `</TOOLCALL>`."""
    function_doc_format: FunctionDocFormat = FunctionDocFormat.JSON
    """Format of the function descriptions."""
    layout: PromptLayout = PromptLayout.PLAINTEXT
    """Layout of the system prompt."""
    style: PromptStyle = PromptStyle.CLASSIC
    """Wording of the system prompt."""

    @property
    def configuration(self) -> str:
        """The variation as the leaderboard writes it in the ids of its cases."""
        return (
            f"ret_fmt={self.return_format}&tool_call_tag={self.tool_call_tag}"
            f"&func_doc_fmt={self.function_doc_format}&prompt_fmt={self.layout}&style={self.style}"
        )


PROMPT_VARIATIONS: tuple[PromptVariation, ...] = (
    *(
        PromptVariation(return_format=returned, tool_call_tag=tag, function_doc_format=documented)
        for returned in ReturnFormat
        for tag in (True, False)
        for documented in FunctionDocFormat
    ),
    PromptVariation(layout=PromptLayout.MARKDOWN),
    PromptVariation(style=PromptStyle.EXPERIMENTAL),
)
"""The leaderboard's variations, in its order."""


class AlterationRecord(FileModel):
    """One alteration of one task."""

    name: str
    """Registry name, such as `FunctionMask`."""
    parameters: dict[str, Any]
    """Choices that it made, enough to reverse them, such as `{"get_weather": "kq3v9"}` for a mask."""


class Conversation(FileModel):
    """Turns of a task whose calls act on simulated systems (BFCL multi-turn)."""

    turns: list[list[dict[str, Any]]]
    """The user's messages of each turn; those of the first are also the task's `messages`."""
    ground_truth: list[list[str]]
    """Reference calls of each turn, as Python source; they produce the state that the state after the turn is compared
    with."""
    classes: list[str]
    """Names of the simulated systems."""
    initial_state: dict[str, Any]
    """Initial content of each system, by its name."""
    held_back: dict[str, list[dict[str, Any]]] = {}
    """Functions that are offered only from a later turn on, by the index of that turn."""
    long_context: bool = False
    """Whether the systems contain much irrelevant content."""


class Memory(FileModel):
    """A question about earlier conversations, of which a model knows only what it wrote into a memory (BFCL memory)."""

    backend: MemoryBackend
    """Kind of the memory."""
    scenario: str
    """Name of the bfcl-eval package's conversations that are held first, such as `student`."""
    answers: list[str] = Field(min_length=1)
    """A right answer contains one of these texts."""


class Task(FileModel):
    """One question, with the functions that may be called to answer it."""

    _later: ClassVar[frozenset[str]] = frozenset({"conversation", "reference", "variation", "memory"})

    id: str = Field(min_length=1, max_length=256)
    """Unique in the task set."""
    source: str
    """Registry name of the source, such as `bfcl`."""
    category: str
    """The source's category; scores are also given per category."""
    messages: list[dict[str, Any]]
    """Chat messages, `{"role", "content"}`."""
    functions: list[dict[str, Any]]
    """Function descriptions in BFCL's form, `{"name", "description", "parameters"}`, where `parameters` is
    `{"type": "dict", "properties", "required"}`."""
    expects: Expects = Expects.CALLS
    """Kind of answer that is right."""
    language: Language = Language.PYTHON
    """Syntax of functions and calls."""
    alterations: list[AlterationRecord] = []
    """Alterations of the task, in the order in which they were applied."""
    parent: Task | None = None
    """The task before all alterations; None if there are none."""
    ground_truth: list[dict[str, dict[str, list[Any]]]] | None = None
    """One `{function: {argument: [allowed values]}}` per expected call, as BFCL's possible answers; "" among the
    values marks an optional argument. None unless `expects` is Calls."""
    conversation: Conversation | None = None
    """The turns, if `expects` is State."""
    reference: str | None = None
    """The text whose loss is measured; required if `expects` is Text."""
    variation: PromptVariation | None = None
    """How the prompt is worded and in which format the calls are read, whatever the prompt format (BFCL format
    sensitivity); None: the prompt format decides."""
    memory: Memory | None = None
    """The memory and the right answers, if `expects` is Answer."""

    @model_validator(mode="after")
    def _check_what_is_expected(self) -> Task:
        talk = self.conversation
        if (self.expects is Expects.STATE) != (talk is not None):
            raise ValueError("conversation belongs to expects State, and is needed there")
        if talk is not None and not 0 < len(talk.turns) == len(talk.ground_truth):
            raise ValueError(
                f"conversation has {len(talk.turns)} turns and reference calls for {len(talk.ground_truth)}: "
                "it needs as many, and one at least"
            )
        if self.expects is Expects.TEXT and self.reference is None:
            raise ValueError("expects Text needs a reference")
        if (self.expects is Expects.ANSWER) != (self.memory is not None):
            raise ValueError("memory belongs to expects Answer, and is needed there")
        asks_once = (
            self.expects is not Expects.TEXT and self.expects not in SEVERAL_STEPS and self.language is Language.PYTHON
        )
        if self.variation is not None and not asks_once:
            raise ValueError("variation belongs to a single question for calls in Python")
        return self


class SourceManifest(FileModel):
    """Contribution of one source to a task set."""

    _later: ClassVar[frozenset[str]] = frozenset({"skipped"})

    source: str
    """Registry name."""
    version: str
    """Version of the data: a package version or the digest of a file."""
    parameters: dict[str, Any]
    """The source's parameters, as in the round's spec."""
    count: int
    """Number of tasks drawn."""
    skipped: dict[str, int] = {}
    """Number of rows that cannot be read as a task, by reason."""


class AlterationManifest(FileModel):
    """Effect of one alteration on a task set."""

    _later: ClassVar[frozenset[str]] = frozenset({"version", "parts"})

    name: str
    """Registry name."""
    parameters: dict[str, Any]
    """Its parameters, as in the round's spec."""
    applied: int
    """Number of tasks that it changed."""
    skipped: dict[str, int]
    """Number of tasks that it skipped, by reason."""
    version: str = ""
    """Name and version of what it depends on beside this program, such as an embedding model."""
    parts: dict[str, int] = {}
    """Number of parts of tasks that it changed by kind, such as `descriptions`, if it changes several kinds."""


class RewriterRecord(FileModel):
    """The model that reworded questions, if it was the rewriter of the round's Validator."""

    repo: str
    """Origin of its files: a repository, or a directory of a volume."""
    commit: str
    """Commit of its files."""
    choices: dict[str, Any] = {}
    """Choices for the inference engine, as in the Validator's spec."""
    image: str = ""
    """Image of the server."""
    engine: str = ""
    """Name and version of the inference engine; empty if the server did not say."""


class Baseline(FileModel):
    """Score of the best constant answer to all tasks of a set: what is to be had without reading a question."""

    scorer: ScorerName
    """Rule by which the answer was scored."""
    aggregate: Aggregation = Aggregation.MEAN
    """How the scores of tasks became one score."""
    answer: str
    """The constant answer, or what else answers without reading the question, in words."""
    score: Score
    """Its score."""
    loss: Loss | None = None
    """Its mean loss in nats per byte, with scorer Loss."""
    loss_parameters: LossParameters | None = None
    """Parameters of the loss, with scorer Loss."""


class TaskSetManifest(FileModel):
    """Provenance of a task set."""

    _later: ClassVar[frozenset[str]] = frozenset({"files", "spec", "baseline", "rewriter"})

    schema_version: int = SCHEMA_VERSION
    digest: Digest
    """SHA-256 of tasks.jsonl."""
    count: int
    """Number of tasks."""
    seed: str
    """Seed of all random choices."""
    sources: list[SourceManifest]
    """Contributions of the sources, in the order of the spec."""
    alterations: list[AlterationManifest] = []
    """What was done to the drawn tasks, in the order of the spec."""
    categories: dict[str, int]
    """Number of tasks per category."""
    builder: str
    """Name and version of the program that built it."""
    files: dict[str, Digest] = {}
    """Digests of further files beside tasks.jsonl, such as the responses of a rewriter that a rebuild reuses."""
    spec: dict[str, Any] = {}
    """Spec from which it was built and can be rebuilt, as `Tasks` on the wire."""
    baseline: Baseline | None = None
    """Score of the best constant answer by the round's scorer; None for a set that was built without a round."""
    rewriter: RewriterRecord | None = None
    """The Validator's rewriter, if it reworded questions."""
