"""Why a rewording was not taken. In a manifest: why a task keeps its question, by what was wrong with the last try."""

from __future__ import annotations

from enum import StrEnum


class Rejected(StrEnum):
    """What was wrong."""

    EMPTY = "empty"
    """Nothing came back."""
    TOO_LONG = "too_long"
    """It is several times as long as the question, or the token limit cut it off."""
    CONTROL_CHARACTERS = "control_characters"
    """It holds characters that cannot be seen and that the question did not have."""
    NAMES_FUNCTION = "names_function"
    """It names a function that the question did not name: that would tell the answer."""
    VALUE_LOST = "value_lost"
    """A value of the ground truth stood in the question and is no longer there."""
    NUMBER_CHANGED = "number_changed"
    """A number of the question is missing, or a new one came in."""
    TOO_DIFFERENT = "too_different"
    """Similarity is below the minimum: it asks for something else."""
    TOO_SIMILAR = "too_similar"
    """The same words, or similarity above the maximum: hardly anything was reworded."""
    REQUEST_FAILED = "request_failed"
    """The endpoint gave no answer."""
