"""The kinds of findings of a diagnosis, and each in words: what was found, its likely cause, and a remedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

BY_ENDPOINT = "the endpoint: "
"""Beginning of why a task was not answered, if an endpoint is the reason."""


class FindingKind(StrEnum):
    """Kinds of findings, the gravest first."""

    NEVER_ENDS = "NeverEnds"
    """Cut by the limit, and the template ends an answer with something that ends no generation."""
    CUT_IN_THOUGHT = "CutInThought"
    """Cut by the limit before the thought was over."""
    CUT_OFF = "CutOff"
    """Cut by the limit."""
    ONLY_THOUGHT = "OnlyThought"
    """A thought and nothing after it, though the limit did not end it."""
    EMPTY = "Empty"
    UNREADABLE = "Unreadable"
    """Written as a call that no accepted syntax reads."""
    WITHOUT_CALL = "WithoutCall"
    """No call where one was expected."""
    UNEXPECTED_CALL = "UnexpectedCall"
    """A call where none was expected."""
    ALIKE = "Alike"
    """The same answer to most tasks, which it fails."""
    CREDITED = "Credited"
    """Passed as "no call", though the answer is a broken call or a thought alone, or was cut."""
    PROMPT_REFUSED = "PromptRefused"
    ENDPOINT_REFUSED = "EndpointRefused"
    """An endpoint answered the request with an error, or with what is not an answer."""
    NO_ROOM = "NoRoom"
    PROMPT_TOO_LONG = "PromptTooLong"
    BUDGET_EXCEEDED = "BudgetExceeded"
    TIME_EXCEEDED = "TimeExceeded"
    ABSENT = "Absent"
    """No line of the answers names the task."""
    UNKNOWN_ID = "UnknownId"
    REPEATED_ID = "RepeatedId"
    MODEL_NOTE = "ModelNote"
    """A note on the model's files."""


@dataclass(frozen=True)
class Words:
    """A kind of finding in words. `{count}`, `{of}`, `{limit}` and `{note}` are filled in."""

    text: str
    cause: str
    remedy: str


WORDS: Mapping[FindingKind, Words] = {
    FindingKind.NEVER_ENDS: Words(
        "{count} of {of} answers ran into the limit of {limit} tokens",
        "the template's end of turn is not an end token: {note}",
        "name the token in eos_token_id of generation_config.json, or have the template write the end token",
    ),
    FindingKind.CUT_IN_THOUGHT: Words(
        "{count} of {of} answers ran into the limit of {limit} tokens while the model was still thinking",
        "the model thinks before it answers, for longer than the limit allows",
        "raise the limit of thoughts (--max-thought-tokens, maxThoughtTokens of a round; without it --max-tokens is "
        "for thought and answer together), or have the model answer without thinking (--thinking Off)",
    ),
    FindingKind.CUT_OFF: Words(
        "{count} of {of} answers ran into the limit of {limit} tokens",
        "the model does not end its answers, or writes more than a call",
        "see what the end of such an answer looks like: if it repeats itself or writes the next question, "
        "`bitagent-eval check` names the end tokens; if it is a long answer, raise the limit (--max-tokens)",
    ),
    FindingKind.ONLY_THOUGHT: Words(
        "{count} of {of} answers break off in thought: there is nothing after it",
        "the model ended its turn while it was thinking, or the server took the answer for a part of the thought",
        "have the model answer without thinking (--thinking Off); behind an endpoint, see whether the server's reader "
        "of thoughts (--reasoning-parser of vLLM) is the one for this model",
    ),
    FindingKind.EMPTY: Words(
        "{count} of {of} answers are empty",
        "the model ends at once: the prompt may end with an end token, or without the beginning of an answer",
        "read the prompt as the model gets it: `bitagent-eval tasks show SET --id ID --model DIR`",
    ),
    FindingKind.UNREADABLE: Words(
        "{count} of {of} answers look like a call, but cannot be read as one: {note}",
        "the model writes calls in another syntax than its prompt format accepts, or makes mistakes in it",
        "compare an answer with the syntaxes of the prompt format (docs/formats.md), or choose another --prompt-format",
    ),
    FindingKind.WITHOUT_CALL: Words(
        "{count} of {of} answers have no call where one was expected",
        "the model answers in words or declines: it may not have seen the functions",
        "read the prompt as the model gets it (`bitagent-eval tasks show SET --id ID --model DIR`): are the functions "
        "in it, as the model was trained to see them?",
    ),
    FindingKind.UNEXPECTED_CALL: Words(
        "{count} of {of} answers are a call where none was expected",
        "the model calls a function although none fits",
        "train it with questions that no offered function answers",
    ),
    FindingKind.ALIKE: Words(
        "{count} of {of} answers are the same, and wrong: {note}",
        "the question is not in the prompt, or the weights are damaged",
        "read the prompt as the model gets it: `bitagent-eval tasks show SET --id ID --model DIR`",
    ),
    FindingKind.CREDITED: Words(
        '{count} of {of} answers passed as "no call" although they are a broken call or a thought alone, or were cut',
        "where no call is expected, the rule passes every text that cannot be read as a call",
        "do not read these as declined: the score is higher than what the model can do",
    ),
    FindingKind.PROMPT_REFUSED: Words(
        "{count} of {of} tasks were not asked: their prompts were refused",
        "the model's chat template rejects the conversation: {note}",
        "make the template accept the roles and tools of these tasks, or choose another --prompt-format",
    ),
    FindingKind.ENDPOINT_REFUSED: Words(
        "{count} of {of} tasks have no answer: the endpoint refused them, or sent what is not an answer",
        "{note}",
        "read the server's log; other roles or tools in the messages: choose another --prompt-format",
    ),
    FindingKind.NO_ROOM: Words(
        "{count} of {of} tasks were not asked: their prompts leave no room for an answer",
        "prompt and answer together are longer than the model allows (max_position_embeddings)",
        "a model for longer texts, or shorter descriptions of functions in its template",
    ),
    FindingKind.PROMPT_TOO_LONG: Words(
        "{count} of {of} tasks were not asked: their prompts are longer than the run allows",
        "the template writes more than the run's maxPromptTokens",
        "shorten what the template adds to a prompt; --max-prompt-tokens to try it here",
    ),
    FindingKind.BUDGET_EXCEEDED: Words(
        "{count} of {of} tasks have no answer that counts: the budget of generated tokens was spent before them",
        "answers are longer on average than the run allows",
        "shorter answers (end tokens, less thought); --mean-answer-tokens to try it here",
    ),
    FindingKind.TIME_EXCEEDED: Words(
        "{count} of {of} tasks have no answer: the time for generating was over",
        "answers are long, or the machine is slow for this model",
        "shorter answers, or --generate-seconds to try it here",
    ),
    FindingKind.ABSENT: Words(
        "{count} of {of} tasks have no answer and fail",
        "the file of answers is of a part of the tasks, or of another task set",
        "compare the ids of the answers with those of `bitagent-eval tasks show SET`",
    ),
    FindingKind.UNKNOWN_ID: Words(
        "{count} of {of} answers belong to no task and are left out",
        "the answers are about another task set, or their ids were changed",
        "score them with the task set that they were made for",
    ),
    FindingKind.REPEATED_ID: Words(
        "{count} of {of} answers are further ones to a task and are left out: the first counts",
        "the answers of several runs are in one file",
        "score each run's answers alone",
    ),
    FindingKind.MODEL_NOTE: Words("{note}", "", ""),
}
"""What each kind of finding is called, what is likely behind it, and what to do."""


@dataclass(frozen=True)
class RunFinding:
    """One kind of trouble, and how many tasks or answers have it."""

    kind: FindingKind
    count: int
    of: int
    """Number of answers, or of tasks where these were not asked."""
    examples: tuple[str, ...] = ()
    """Ids of the first tasks that have it."""
    note: str = ""
    """The template's error, or the note on the model."""
    limit: int = 0
    """Limit of an answer, in tokens."""

    @property
    def share(self) -> float:
        """`count` of `of`; 0 for a note."""
        return self.count / self.of if self.of else 0.0

    @property
    def text(self) -> str:
        """What was found, in words."""
        return self._filled(WORDS[self.kind].text)

    @property
    def cause(self) -> str:
        """What is likely behind it; empty for a note, which says so itself."""
        return self._filled(WORDS[self.kind].cause)

    @property
    def remedy(self) -> str:
        """What to do; empty for a note."""
        return WORDS[self.kind].remedy

    def to_json(self) -> dict[str, object]:
        """Return the finding for JSON."""
        counted = {"count": self.count, "of": self.of, "examples": list(self.examples)} if self.of else {}
        words = {"text": self.text, "cause": self.cause, "remedy": self.remedy}
        return {"kind": self.kind.value, **counted, **{name: text for name, text in words.items() if text}}

    def _filled(self, words: str) -> str:
        return words.format(count=self.count, of=self.of, limit=self.limit, note=self.note).removesuffix(": ")
