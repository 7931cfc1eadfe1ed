"""Policies of packages: each in a process that ends, whatever the package does."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.model_result import ResultState
from bitagent_validator.chain.facts import Neuron
from bitagent_validator.policy.eligibility import Standings
from bitagent_validator.policy.interface import PolicyError
from bitagent_validator.policy.registry import pay
from bitagent_validator.running import policies
from bitagent_validator.running.policies import PackagePolicies
from bitagent_validator.running.policy_process import MEMORY_BYTES
from bitagent_validator.state.scores import HotkeyScore, RoundResult, ScoredRound

Make = Callable[..., Any]
BY_SCORE = """
def policy(given, neurons):
    print("words of a package")
    total = sum(each.score * neurons[hotkey].uid for hotkey, each in given.scores.items())
    assert given.parameters.plugin == {"best": "1"} and given.newcomers == {"new"} and given.rounds == 3
    return {hotkey: each.score * neurons[hotkey].uid / total for hotkey, each in given.scores.items()}
"""


def standing(*entrants: str, **scores: float) -> Standings:
    known = {
        hotkey: HotkeyScore(registered_at=10, results=(RoundResult(state=ResultState.SUCCEEDED, score=score),))
        for hotkey, score in scores.items()
    }
    return Standings(ScoredRound(round="r", epoch=7, block=100, scores=known), entrants=frozenset(entrants))


def wait_for_end(pid: int) -> None:
    """Return once a process has ended, whoever reaps it."""
    try:
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.01)
    except (FileNotFoundError, ProcessLookupError):
        pass


@pytest.fixture
def neurons(neuron: Callable[..., Neuron]) -> dict[str, Neuron]:
    found = {hotkey: neuron(hotkey, uid=uid) for uid, hotkey in enumerate("abc", start=1)}
    return found | {"new": neuron("new", uid=4, registered_at=200)}


async def test_a_package_is_given_all_that_a_built_in_policy_is(
    policy_package: Make, competition: Make, neurons: dict[str, Neuron]
) -> None:
    """And its shares are those that it gives in this process, to the last digit."""
    policy_package(BY_SCORE)
    theirs = competition(policy="Theirs", policyParameters={"plugin": {"best": "1"}})
    known = standing("new", a=0.9, b=0.1 + 0.2, c=1 / 3)
    found = await PackagePolicies().answers([theirs, competition(id="own")], {"fc": known}, neurons)
    assert found.keys() == {"fc"}, "built-in policies are applied elsewhere"
    apart = pay(theirs, known, neurons, answer=found["fc"])
    assert apart == pay(theirs, known, neurons)
    assert {hotkey for hotkey, each in apart.items() if each.share} == {"a", "b", "c"}


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("def policy(given, neurons):\n    while True: pass", id="it computes for ever"),
        pytest.param("import time\ndef policy(given, neurons): time.sleep(3600)", id="it sleeps"),
        pytest.param("import time\ntime.sleep(3600)\npolicy = dict", id="its import does"),
        pytest.param(
            "import signal, time\n"
            "def policy(given, neurons):\n"
            "    for each in (signal.SIGTERM, signal.SIGALRM, signal.SIGINT): signal.signal(each, signal.SIG_IGN)\n"
            "    while True: time.sleep(1)",
            id="it ignores signals",
        ),
    ],
)
async def test_a_policy_that_does_not_return_is_ended(
    policy_package: Make, competition: Make, neurons: dict[str, Neuron], code: str
) -> None:
    policy_package(code)
    theirs = PackagePolicies(seconds=3)
    (answer,) = (await theirs.answers([competition(policy="Theirs")], {"fc": standing(a=0.9)}, neurons)).values()
    assert isinstance(answer, PolicyError)
    assert "did not return within 3 s" in str(answer)


async def test_what_a_package_has_started_is_ended(
    policy_package: Make, competition: Make, neurons: dict[str, Neuron], tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    policy_package(
        "import os, time\n"
        "def policy(given, neurons):\n"
        f"    if (child := os.fork()): open({str(pid)!r}, 'w').write(str(child)); return {{}}\n"
        "    time.sleep(3600)\n"
    )
    assert await PackagePolicies().answers([competition(policy="Theirs")], {"fc": standing(a=0.9)}, neurons) == {
        "fc": {}
    }
    wait_for_end(int(pid.read_text()))


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        pytest.param("def policy(given, neurons): raise KeyError('boom')", "KeyError: 'boom'", id="raises"),
        pytest.param("def policy(given, neurons): return {'gone': 1.0}", "not registered: gone", id="another hotkey"),
        pytest.param("def policy(given, neurons): return {'a': float('nan')}", "not above 0", id="not a number"),
        pytest.param("import os\ndef policy(given, neurons): os._exit(7)", "status 7 and no answer", id="exits"),
        pytest.param("raise SystemExit(3)", "status 3 and no answer", id="exits at its import"),
        pytest.param(
            "import os, signal\ndef policy(given, neurons): os.kill(os.getpid(), signal.SIGSEGV)",
            f"status -{int(signal.SIGSEGV)} and no answer",
            id="crashes",
        ),
        pytest.param("def policy(given, neurons): return policy(given, neurons)", "RecursionError", id="recurses"),
        pytest.param(
            f"def policy(given, neurons): return bytearray({MEMORY_BYTES})", "MemoryError", id="takes all memory"
        ),
    ],
)
async def test_whatever_a_package_does_is_one_competitions_problem(
    policy_package: Make, competition: Make, neurons: dict[str, Neuron], code: str, problem: str
) -> None:
    policy_package(code)
    found = await PackagePolicies().answers([competition(policy="Theirs")], {"fc": standing(a=0.9)}, neurons)
    assert isinstance(found["fc"], PolicyError)
    assert problem in str(found["fc"])


async def test_an_unknown_policy_is_reported_before_there_are_scores(
    competition: Make, neurons: dict[str, Neuron]
) -> None:
    found = await PackagePolicies().answers([competition(policy="Unheard")], {}, neurons)
    assert "this validator has no policy Unheard" in str(found["fc"])


class Counted:
    """Replaces the process: returns what is given, or never, and counts."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.policies = list(answers), list[str]()

    async def __call__(self, request: Any) -> Any:
        self.policies.append(request.policy)
        answer = self.answers.pop(0)
        if answer is None:
            raise TimeoutError
        return answer


async def test_a_late_policy_is_tried_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch, competition: Make, neurons: dict[str, Neuron]
) -> None:
    """Each trial delays a pass. Another policy for the competition is tried at once."""
    run, now = Counted(None, None, {"a": 1.0}, None), [0.0]
    monkeypatch.setattr(policies, "_run", run)
    theirs, known = PackagePolicies(clock=lambda: now[0]), {"fc": standing(a=0.9)}

    async def asked(at: float, policy: str = "Theirs") -> Any:
        now[0] = at
        return (await theirs.answers([competition(policy=policy)], known, neurons))["fc"]

    tried = []
    for at in (0, 299, 301, 900, 902):
        await asked(at)
        tried.append(len(run.policies))
    assert tried == [1, 1, 2, 2, 3]
    assert isinstance(await asked(903, "Other"), PolicyError)
    assert run.policies[-1] == "Other"


async def test_the_same_question_is_asked_once(
    monkeypatch: pytest.MonkeyPatch, competition: Make, neurons: dict[str, Neuron]
) -> None:
    run = Counted({"a": 1.0}, PolicyError("boom"), PolicyError("boom"))
    monkeypatch.setattr(policies, "_run", run)
    theirs = PackagePolicies()
    for score in (0.9, 0.9, 0.8, 0.8):
        await theirs.answers([competition(policy="Theirs")], {"fc": standing(a=score)}, neurons)
    assert len(run.policies) == 3, "a failure is not an answer"
