"""Online evaluation: miners are asked a fresh task now and then, beside the rounds that evaluate their models.

A step is one task for a sample of miners. Task and sample follow from the hash of the step's block, the subnet and the
competition, so that validators with the same spec and the same pool ask the same miners the same task.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from bitagent_crds.fields import Count, Hotkey, Name, Score, ShortText
from bitagent_crds.schema import Model, Open, StatusModel, map_list

ONLINE_RESULTS_MAX = 64
LEFT_OUT_MAX = 64


class OnlinePool(Model):
    """The tasks that online evaluation draws from: a task set of the competition's sources and alterations, with a seed
    of its own."""

    every_blocks: Annotated[int, Field(ge=1, le=1000000)] = 7200
    """everyBlocks is the number of blocks after which a new pool is built; the one before serves until it is."""
    count: Annotated[int, Field(ge=1, le=20000)] = 300
    """count is the number of tasks."""


class Online(Model):
    """Online evaluation of one competition."""

    every_blocks: Annotated[int, Field(ge=1, le=100000)] = 25
    """everyBlocks is the number of blocks between two steps: one begins at each multiple of it."""
    sample_size: Annotated[int, Field(ge=1, le=256)] = 10
    """sampleSize is the number of miners of a step. One that serves no axon is not asked, and scores 0."""
    timeout_seconds: Annotated[int, Field(ge=1, le=120)] = 15
    """timeoutSeconds is the time that a miner has for its answer."""
    maximum_bytes: Annotated[int, Field(ge=1024, le=16777216)] = 4194304
    """maximumBytes is the size of an answer above which the rest is not read, and the miner scores 0."""
    alpha_percent: Annotated[int, Field(ge=1, le=100)] = 5
    """alphaPercent is the part, in percent, that each new score has in a miner's mean (an exponential moving
    average)."""
    exclude_hotkeys: Annotated[
        list[Hotkey], Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "set"})
    ] = []
    """excludeHotkeys are never asked, beside validators (`policyParameters.bitAgent.validatorStake`) and this
    validator's own hotkey."""
    feedback: bool = True
    """feedback sends each miner that has answered what its answer scored by which criterion, and the form of a right
    answer."""
    pool: OnlinePool = OnlinePool()
    """pool is what tasks are drawn from."""


class OnlineOutcome(StrEnum):
    """What became of one miner in a step."""

    SCORED = "Scored"
    """It has answered, and the answer is scored."""
    NOT_SERVING = "NotServing"
    """It serves no axon on the chain; it scores 0."""
    ADDRESS_REFUSED = "AddressRefused"
    """Its axon has an address that is not public, which is never asked; it scores 0."""
    UNREACHABLE = "Unreachable"
    """No connection to its axon could be made, or it broke; it scores 0."""
    TIMEOUT = "Timeout"
    """Its answer was not complete in time; it scores 0."""
    REFUSED = "Refused"
    """It does not answer this validator (403); it scores 0."""
    UNAUTHORISED = "Unauthorised"
    """It did not accept the signature (401); it scores 0."""
    RATE_LIMITED = "RateLimited"
    """It limits the number of requests (429); it scores 0."""
    BUSY = "Busy"
    """It was too busy, or reached a limit of its own (408, 503); it scores 0."""
    UNSUPPORTED = "Unsupported"
    """It does not know the message (404, 405); it scores 0."""
    REDIRECTED = "Redirected"
    """It answered with a redirect, which is not followed; it scores 0."""
    FAILED = "Failed"
    """It answered with another status than 200; it scores 0."""
    WRONG_TYPE = "WrongType"
    """Its answer is not JSON of the right form; it scores 0."""
    TOO_LARGE = "TooLarge"
    """Its answer is larger than `maximumBytes`; it scores 0."""
    BAD_SIGNATURE = "BadSignature"
    """Its answer is signed, and not by its hotkey; it scores 0."""
    REPLAYED = "Replayed"
    """Its answer is one to another request; it scores 0."""
    BROKEN = "Broken"
    """What it sent is not HTTP; it scores 0."""
    UNSUITED_KEY = "UnsuitedKey"
    """It speaks the old wire, which does not know this validator's kind of key: its mean stays."""
    TOO_COSTLY = "TooCostly"
    """Its answer needs more time or memory to judge than an answer may take; it scores 0."""
    NOT_SCORED = "NotScored"
    """The examiner gave no score; its mean stays."""


class LeftOutReason(StrEnum):
    """Why a registered hotkey is never in a sample."""

    OWN = "Own"
    """It is this validator's."""
    VALIDATOR = "Validator"
    """It holds a validator permit and more stake than the policy allows a miner."""
    EXCLUDED = "Excluded"
    """It is one of `excludeHotkeys`."""


class LeftOut(StatusModel):
    """A registered hotkey that is never asked."""

    hotkey: Hotkey
    """hotkey is the account."""
    reason: Annotated[LeftOutReason, Open()]
    """reason is Own, Validator or Excluded; a later version may have more of them."""


class OnlineResult(StatusModel):
    """What became of one miner in the last step."""

    hotkey: Hotkey
    """hotkey is the account."""
    outcome: Annotated[OnlineOutcome, Open()]
    """outcome is Scored; NotServing or AddressRefused, if it was not asked; what came of asking it, such as Timeout or
    TooLarge; TooCostly, if its answer could not be judged within limits; NotScored, if the examiner failed. A later
    version may have more of them."""
    score: Score | None = None
    """score is that of this step, from 0 to 1; absent if it has none."""
    mean: Score | None = None
    """mean is its moving average after it; absent if it has none."""
    message: ShortText = ""
    """message says more, without the miner's words."""


class OnlineStatus(StatusModel):
    """Online evaluation of one competition."""

    competition: ShortText
    """competition is the competition's id."""
    block: Count = 0
    """block is that of the last step that counted; 0 before the first."""
    pool: Name | None = None
    """pool is the EvalRound of the task set that the last step used."""
    miners: Count = 0
    """miners is the number of hotkeys that have a moving average."""
    results: Annotated[
        list[OnlineResult], Field(max_length=ONLINE_RESULTS_MAX, json_schema_extra=map_list("hotkey"))
    ] = []
    """results are those of the last step; at most 64."""
    left_out_count: Count = 0
    """leftOutCount is the number of registered hotkeys that are never asked."""
    left_out: Annotated[list[LeftOut], Field(max_length=LEFT_OUT_MAX, json_schema_extra=map_list("hotkey"))] = []
    """leftOut are these hotkeys, and why; at most 64."""
