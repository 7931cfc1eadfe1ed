"""Weight policies: by which rule, and with which parameters, the scores of a competition become shares.

The parameters of a built-in policy are an object of its own in `PolicyParameters`; a policy of an installed package
takes its parameters from `plugin`. Percentages are whole numbers, because not every JSON client preserves floats.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from bitagent_crds.fields import Hotkey, PluginName, ShortText
from bitagent_crds.schema import Model, map_list

PolicyName = PluginName

Percent = Annotated[int, Field(ge=0, le=100)]


class BuiltinPolicy(StrEnum):
    """Built-in rules by which scores become weights."""

    BITAGENT = "BitAgent"
    """exp(5 x) of the score above what the best constant answer earns, normalised; with `online` the score is half of
    rounds and half of online answers; newly registered hotkeys share a bounded part, each at most the median."""
    WIN_RATE = "WinRate"
    """Pairwise wins by the losses of batches, with an advantage for the earlier commit; a softmax of the win rates,
    averaged over rounds."""
    WINNER_TAKES_ALL = "WinnerTakesAll"
    """The best model earns everything; a later one must exceed it by a margin."""
    FIXED = "Fixed"
    """Named hotkeys with shares, whatever their scores."""


class Unscored(StrEnum):
    """What a miner earns by a round in which all attempts at its model failed."""

    CARRY_FORWARD = "CarryForward"
    """By its scores before, for two rounds after the last one at most."""
    NOTHING = "Nothing"
    """Nothing."""


class Duplicates(StrEnum):
    """What near copies earn. Exact copies never earn anything beside the earliest."""

    FLAG = "Flag"
    """By their scores; they are reported as near copies."""
    EARLIEST_EARNS = "EarliestEarns"
    """Nothing: only the earliest of the models that are near copies of each other earns."""


class UnsupportedClaims(StrEnum):
    """What becomes of a `commitBlock` by hand that no commitment on the chain supports."""

    BELIEVE = "Believe"
    """It is believed: who may create MinerModels is trusted with it."""
    REFUSE = "Refuse"
    """Its model earns nothing in that round."""


SMOOTHING_MAX = 5
"""Number of complete rounds whose results are kept for each hotkey."""


class Smoothing(Model):
    """Over how many rounds a miner's results count."""

    rounds: Annotated[int, Field(ge=1, le=SMOOTHING_MAX)] = 3
    """rounds is the number of last complete rounds over which a hotkey's scores are averaged; those in which it had no
    score do not count. 1 pays by the last round alone."""


class _RankedParameters(Model):
    """Parameters of every policy that pays by results."""

    validator_stake: Annotated[int, Field(ge=0, le=21000000)] = 4096
    """validatorStake is the stake, in tokens, above which a hotkey with a validator permit counts as a validator, which
    is never paid."""


class BitAgentParameters(_RankedParameters):
    """Parameters of BitAgent."""

    steepness: Annotated[int, Field(ge=1, le=100)] = 5
    """steepness is k in exp(k x): a score of 1 earns about exp(k) times what one just above the baseline earns."""
    winner_percent: Percent = 0
    """winnerPercent is the part, in percent, that the best model earns alone, by the rule of WinnerTakesAll with its
    default margin; however many hotkeys one skill is spread over, they can take no more than the rest."""
    newcomer_percent: Annotated[int, Field(ge=0, le=20)] = 2
    """newcomerPercent is the largest part, in percent, that all newcomers together earn before their first round has
    ended; 0 pays none."""
    online_percent: Percent = 50
    """onlinePercent is the part, in percent, of the score that comes from `online`, where the competition has it; the
    rest is the score of the last complete rounds."""


class WinRateParameters(_RankedParameters):
    """Parameters of WinRate."""

    advantage_percent: Annotated[int, Field(ge=0, le=50)] = 1
    """advantagePercent is by how much, in percent of the loss, a later model must be better to win a batch."""
    temperature_percent: Annotated[int, Field(ge=1, le=1000)] = 8
    """temperaturePercent is the softmax's temperature, in hundredths of a win rate."""
    keep_percent: Annotated[int, Field(ge=0, le=99)] = 90
    """keepPercent is the weight of each round relative to the next one, in percent, over `smoothing.rounds` rounds."""
    sample_min: Annotated[int, Field(ge=2, le=64)] = 5
    """sampleMin is the number of models with the lowest losses that play against each other; only they earn."""


class WinnerTakesAllParameters(_RankedParameters):
    """Parameters of WinnerTakesAll."""

    margin_percent: Annotated[int, Field(ge=0, le=50)] = 2
    """marginPercent is by how many hundredths of the score a later commit must exceed the best earlier one."""


class FixedShare(Model):
    """Share of one hotkey."""

    hotkey: Hotkey
    """hotkey is the account."""
    share: Annotated[int, Field(ge=1, le=10000)]
    """share is relative to the other hotkeys' shares."""


class FixedParameters(Model):
    """Parameters of Fixed."""

    shares: Annotated[list[FixedShare], Field(min_length=1, max_length=256, json_schema_extra=map_list("hotkey"))]
    """shares are the paid hotkeys; the part of one that is not registered goes to the others in proportion."""


class PolicyParameters(Model):
    """Parameters of the competition's policy: the member of that policy, or none for the defaults."""

    bit_agent: BitAgentParameters | None = None
    """bitAgent has the parameters of policy BitAgent."""
    win_rate: WinRateParameters | None = None
    """winRate has the parameters of policy WinRate."""
    winner_takes_all: WinnerTakesAllParameters | None = None
    """winnerTakesAll has the parameters of policy WinnerTakesAll."""
    fixed: FixedParameters | None = None
    """fixed has the parameters of policy Fixed, which needs them."""
    plugin: Annotated[dict[str, ShortText], Field(max_length=32)] | None = None
    """plugin has the parameters of a policy of a package, as texts; their names and meaning are that package's."""


class Standing(StrEnum):
    """Why a hotkey earns by a competition, or does not."""

    PAID = "Paid"
    """It earns by its score."""
    CARRIED_FORWARD = "CarriedForward"
    """It earns by its scores before, because its model has no score this round."""
    NEWCOMER = "Newcomer"
    """It earns part of what newcomers share, until its first round has ended."""
    NOT_CHOSEN = "NotChosen"
    """It has a score that the policy does not pay, such as that of a model which is not the best."""
    AT_BASELINE = "AtBaseline"
    """Its score is not above what the best constant answer earns in the same round."""
    NEAR_COPY = "NearCopy"
    """Its model is a near copy of an earlier one of another hotkey."""
    DUPLICATE = "Duplicate"
    """Its model is a copy of an earlier one of another hotkey."""
    REJECTED = "Rejected"
    """Its model was not admitted to the round."""
    MODEL_FAULT = "ModelFault"
    """Its model could not be evaluated by its own fault."""
    UNSCORED = "Unscored"
    """All attempts at its model failed, and it has no earlier score that is carried forward."""
    NOT_IN_ROUND = "NotInRound"
    """The last complete round had no model of it."""
    AWAITS_SCORE = "AwaitsScore"
    """Its model is in the running round, and it is not a newcomer: it earns once that round is complete."""
    REGISTERED_AGAIN = "RegisteredAgain"
    """It was registered again after it was scored; it earns by the next round's score."""
    NOT_REGISTERED = "NotRegistered"
    """It has no slot on the subnet."""
    VALIDATOR = "Validator"
    """It holds a validator permit and more stake than the policy allows a miner."""

    @property
    def paid(self) -> bool:
        """Whether a hotkey with this standing earns."""
        return self in (Standing.PAID, Standing.CARRIED_FORWARD, Standing.NEWCOMER)
