"""What a node's answer to a submission means: the whole table of the pool and of the pallet."""

from __future__ import annotations

import bittensor as bt
import pytest
from bittensor.result import chain_error_from_substrate_request

from bitagent_crds.conditions import Reason
from bitagent_validator.weights.reasons import Answer, meaning, skewed


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param("Transaction is outdated", Answer(Reason.NONCE_TAKEN, certain=True, again=True), id="1010 stale"),
        pytest.param("Transaction will be valid in the future", Answer(Reason.NONCE_TAKEN), id="1010 future"),
        pytest.param("Transaction has a bad signature", Answer(certain=True), id="1010 bad signature"),
        pytest.param("Transaction has an ancient birth block", Answer(certain=True, again=True), id="1010 ancient"),
        pytest.param("Inability to pay some fees", Answer(Reason.CANNOT_PAY_FEES, certain=True), id="1010 fees"),
        pytest.param("Custom error: 1", Answer(Reason.STAKE_TOO_LOW, certain=True), id="custom 1 stake"),
        pytest.param("Custom error: 6", Answer(Reason.RATE_LIMITED, certain=True), id="custom 6 rate"),
        pytest.param(
            "Custom error: 15", Answer(Reason.REVEAL_ROUND_REFUSED, certain=True, again=True), id="custom 15 drand"
        ),
        pytest.param("Custom error: 19", Answer(Reason.NOT_REGISTERED, certain=True), id="custom 19 registration"),
        pytest.param(
            "Priority is too low: (1 vs 2)", Answer(Reason.NONCE_TAKEN, certain=True, again=True), id="1014 priority"
        ),
        pytest.param("Transaction Already Imported", Answer(), id="1013 may land"),
        pytest.param("Transaction is temporarily banned", Answer(), id="1012 may land"),
        pytest.param("Immediately Dropped", Answer(), id="1016 may land"),
        pytest.param("Internal error", Answer(), id="-32603 may land"),
    ],
)
def test_the_words_of_a_pool(words: str, expected: Answer) -> None:
    error = chain_error_from_substrate_request(ValueError(words))
    assert meaning(name=error.name or "", code=error.code.value) == expected


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("NeuronNoValidatorPermit", Reason.NO_PERMIT),
        ("SettingWeightsTooFast", Reason.RATE_LIMITED),
        ("CommittingWeightsTooFast", Reason.RATE_LIMITED),
        ("IncorrectWeightVersionKey", Reason.VERSION_KEY_TOO_LOW),
        ("NotEnoughStakeToSetWeights", Reason.STAKE_TOO_LOW),
        ("HotKeyNotRegisteredInSubNet", Reason.NOT_REGISTERED),
        ("MechanismDoesNotExist", Reason.MECHANISM_NOT_FOUND),
        ("CommitRevealEnabled", Reason.SUBMISSION_FAILED),
        ("WeightVecLengthIsLow", Reason.SUBMISSION_FAILED),
        ("MaxWeightExceeded", Reason.SUBMISSION_FAILED),
        ("UidsLengthExceedUidsInSubNet", Reason.SUBMISSION_FAILED),
        ("CommitPayloadTooLarge", Reason.ROW_TOO_LONG),
        ("CommitQueueFull", Reason.RATE_LIMITED),
    ],
)
def test_what_the_pallet_refuses_is_certain(name: str, reason: Reason) -> None:
    answer = meaning(name=name, code=bt.ChainError("no", name).code.value)
    assert (answer.reason, answer.certain) == (reason, True)


@pytest.mark.parametrize("name", ["Retracted", "Dropped", "Invalid", "FinalityTimeout", "Usurped"])
def test_what_one_pool_has_dropped_may_land_by_another(name: str) -> None:
    assert not meaning(name=name, code="rate_limited").certain


@pytest.mark.parametrize(("seconds", "words"), [(-44.0, "44 s behind"), (90.0, "90 s ahead")])
def test_in_which_direction_a_clock_is_wrong(seconds: float, words: str) -> None:
    assert words in skewed(seconds)
