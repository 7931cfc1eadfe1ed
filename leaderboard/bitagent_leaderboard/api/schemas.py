"""Members of the JSON documents. They are only added to; a change of meaning is a new version of the path."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """Base of all parts of a document."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Part(Document):
    """Score of a category, a kind of tasks or a column of the BFCL leaderboard."""

    score: str
    """From 0 to 1."""
    passed: int | None
    total: int | None


class Why(Document):
    """A reason with its sentence."""

    reason: str
    """Name of the reason, as in the field reference."""
    meaning: str
    """Its sentence."""


class RoundSummary(Document):
    """A round in a list."""

    name: str
    uid: str
    validator: str | None
    """Name of the Validator; null for a round that a person made."""
    competition: str | None
    epoch: int | None
    phase: str
    """Waiting, Running, Suspended, Complete or Failed."""
    models: int
    """Number of models."""
    ended: int
    """Models with a final verdict."""
    tasks: int
    """Number of tasks."""
    scorer: str
    created_at: str
    started_at: str | None
    finished_at: str | None
    percent: int | None
    """Share of the evaluations that is done, while it runs."""
    best: str | None
    """Best model, once it is complete."""


class RoundList(Document):
    """All rounds, the newest first."""

    rounds: list[RoundSummary]


class ResultRow(Document):
    """One model in a round. Scores, repositories and commits are null until the round is complete."""

    model: str
    hotkey: str | None
    state: str
    why: Why
    rank: int | None
    score: str | None
    """From 0 to 1."""
    loss: str | None
    interval: tuple[float, float] | None
    """95 % confidence interval of the score; null of rounds whose evaluator reported none, and whose manifests are not
    read."""
    not_different_from: tuple[int, int] | None
    """Best and worst rank whose intervals have a score in common with this one; null if there is no other."""
    passed: int | None
    duplicate_of: str | None
    near_copy_of: str | None
    repo: str | None
    commit: str | None
    key: str | None
    """Key of the evaluation: its files are below results/<key> of the round's archive."""
    result_digest: str | None
    """SHA-256 of the manifest of its results."""
    done: int
    """Tasks that are answered, while it runs."""
    total: int
    """Tasks that are asked, while it runs."""
    categories: dict[str, Part]
    """Empty where the manifest is not read."""
    kinds: dict[str, Part]
    columns: dict[str, Part]
    reproduce: str | None
    """Command that repeats the score."""


class RoundDocument(Document):
    """A round with its results, in the order of the ranking."""

    round: RoundSummary
    why: Why
    baseline: str | None
    """Score of the best constant answer."""
    seed: str | None
    """Null until the round is complete, and while another round has the same."""
    task_set_digest: str | None
    ranking_digest: str | None
    evaluator: str | None
    """Image in which models were evaluated, without its registry."""
    archive: str | None
    """Public address of the round's files."""
    results: list[ResultRow]


class ModelSummary(Document):
    """A model in a list."""

    name: str
    hotkey: str | None
    why: Why
    last_round: str | None
    last_rank: int | None
    last_score: str | None
    """Score, or loss, of that round."""


class ModelList(Document):
    """All models, by name."""

    models: list[ModelSummary]


class PastResult(Document):
    """A model in one round that is complete."""

    round: str
    finished_at: str
    rank: int | None
    of: int | None
    """Number of ranked models; null if the round was deleted."""
    score: str | None
    loss: str | None
    interval: tuple[float, float] | None
    state: str
    why: Why | None
    duplicate_of: str | None
    near_copy_of: str | None
    same_model: bool
    """Whether it was the MinerModel of today, and no other one of this name."""


class OnlineAnswer(Document):
    """What became of a miner in a step of online evaluation."""

    why: Why
    """Scored, or why there is no answer."""
    score: str | None
    """Score of the answer, from 0 to 1."""
    mean: str | None
    """Moving average of its scores."""


class ModelOnline(Document):
    """The last step of a competition in which the hotkey of a model was asked."""

    validator: str
    competition: str
    block: int
    answer: OnlineAnswer


class ModelDocument(Document):
    """A model with its history, the newest round first."""

    name: str
    hotkey: str | None
    why: Why | None
    """Null if the MinerModel was deleted."""
    running: list[str]
    """Rounds with it that are not complete."""
    history: list[PastResult]
    weights: dict[str, str]
    """Weight of its hotkey by Validator."""
    online: list[ModelOnline]
    """What its hotkey answered when it was last asked online, by Validator and competition."""


class WeightScore(Document):
    """A result that a weight came from."""

    round: str
    model: str
    rank: int | None
    score: str | None
    loss: str | None


class WeightDocument(Document):
    """Weight of one hotkey."""

    hotkey: str
    weight: str
    results: list[WeightScore]


class OnlineRow(Document):
    """A miner of a step, beside its models in the last complete round of the competition."""

    hotkey: str
    answer: OnlineAnswer
    results: list[WeightScore]


class OnlineDocument(Document):
    """The last step of a competition in which miners were asked a task."""

    competition: str
    block: int
    miners: int
    """Number of hotkeys that have a moving average."""
    answers: list[OnlineRow]
    """Miners that were drawn, at most 64."""


class UnpaidDocument(Document):
    """A hotkey that earns nothing by a competition."""

    hotkey: str
    competition: str
    why: Why


class CompetitionDocument(Document):
    """A competition of a Validator."""

    validator: str | None
    id: str
    reward_share: int | None
    scorer: str | None
    policy: str | None
    current_round: str | None
    """The newest round, if it is not complete."""
    latest_round: str | None
    """The newest complete round."""


class ValidatorDocument(Document):
    """A Validator with the weights that the chain shows."""

    name: str
    netuid: int
    hotkey: str | None
    uid: int | None
    mode: str
    competitions: list[CompetitionDocument]
    weights_current: bool
    """Whether the chain shows the weights below."""
    why: Why | None
    last_block: int | None
    last_set_at: str | None
    last_extrinsic: str | None
    rounds: list[str]
    """Rounds that the last setting came from."""
    weights: list[WeightDocument]
    unpaid: list[UnpaidDocument]
    online: list[OnlineDocument]
    """Empty unless the chain shows the weights."""


class BoardDocument(Document):
    """Competitions and Validators."""

    title: str
    validators: list[str]
    competitions: list[CompetitionDocument]
    manifests: bool
    """Whether manifests are read, which have the categories."""


class NamespaceSummary(Document):
    """A namespace in the list of a page of several."""

    name: str
    folder: str
    """Folder of its documents, relative to the first page: its `api/v1` is there."""
    read: bool
    """Whether its objects were listed since the page started; false: the numbers are 0."""
    competitions: int
    rounds: int
    models: int


class NamespaceList(Document):
    """The namespaces of a page of several."""

    namespaces: list[NamespaceSummary]
