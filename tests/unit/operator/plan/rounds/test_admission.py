"""Which models take part in a round: selection, the round's rules, and models that change or are deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.admission import refuse
from bitagent_crds.evalround import Admission, ModelSelection
from bitagent_crds.minermodel import ModelFacts
from bitagent_operator.plan.models.fetch import fetch_result, needed_fetch
from bitagent_operator.plan.rounds.admission import MAX_MODELS, admit, select, unreadable

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Obj, Plan

    from bitagent_operator.observed.objects import ModelObject, RoundObject

ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def test_labels_select(make: Make, plan: Plan) -> None:
    models = [make.model("a", labels={"x": "1", "y": "1"}), make.model("b", labels={"x": "2"})]
    found = plan(make.round(models={"matchLabels": {"x": "1"}}), models, selected=True)
    assert list(found.results) == ["a"]


def test_a_listed_name_that_does_not_exist_stays_in_the_set(make: Make, plan: Plan) -> None:
    found = plan(make.round(names=["a", "ghost"]), [make.model("a")], selected=True, now=120)
    assert list(found.results) == ["a", "ghost"]


@pytest.mark.parametrize(
    ("rules", "facts", "reason"),
    [
        pytest.param({}, {}, None, id="no rules"),
        pytest.param({"maxParameters": 1000}, {"parameters": 1000}, None, id="parameters at the limit"),
        pytest.param({"maxParameters": 999}, {"parameters": 1000}, "TooManyParameters", id="too many parameters"),
        pytest.param({"maxRepositoryBytes": 10}, {"sizeBytes": 11}, "RepositoryTooLarge", id="too large"),
        pytest.param({"maxRepositoryBytes": 10}, {"sizeBytes": 10}, None, id="size at the limit"),
        pytest.param({"licenses": ["Apache-2.0"]}, {"license": "apache-2.0"}, None, id="licence ruled in another case"),
        pytest.param({"architectures": ["LlamaForCausalLM"]}, {}, None, id="architecture that is allowed"),
        pytest.param({"licenses": ["mit"]}, {"license": "MIT"}, None, id="licence in another case"),
        pytest.param({"licenses": ["mit"]}, {"license": ""}, "LicenseNotAllowed", id="no licence"),
        pytest.param({"licenses": ["mit"]}, {"license": "gpl-3.0"}, "LicenseNotAllowed", id="another licence"),
        pytest.param({"architectures": ["Qwen2ForCausalLM"]}, {}, "ArchitectureNotAllowed", id="architecture"),
        pytest.param({"requireChatTemplate": True}, {}, "NoChatTemplate", id="no template"),
        pytest.param({"requireChatTemplate": True}, {"templateDigest": "sha256:" + "0" * 64}, None, id="template"),
        pytest.param({"tokenizerDigests": [ONE]}, {"tokenizerDigest": ONE}, None, id="tokenizer"),
        pytest.param(
            {"tokenizerDigests": [ONE]}, {"tokenizerDigest": TWO}, "TokenizerNotAllowed", id="other tokenizer"
        ),
        pytest.param({"tokenizerDigests": [ONE]}, {}, "TokenizerNotAllowed", id="tokenizer not recorded"),
        pytest.param(
            {"maxParameters": 1, "architectures": ["X"]}, {}, "ArchitectureNotAllowed", id="the first broken rule"
        ),
    ],
)
def test_rules_of_a_round(make: Make, rules: dict[str, Any], facts: dict[str, Any], reason: str | None) -> None:
    found = refuse(Admission.model_validate(rules), ModelFacts.model_validate(make.facts() | facts))
    assert (found.reason if found else None) == reason
    assert found is None or found.message


@pytest.mark.parametrize(
    ("model", "state"),
    [
        pytest.param({}, ("Pending", "WaitingForModel"), id="not fetched yet"),
        pytest.param({"fetched": True}, ("Pending", "WaitingForTasks"), id="fetched"),
        pytest.param(
            {"fetched": True, "revision": "main", "at": -61},
            ("Pending", "WaitingForModel"),
            id="branch, fetched earlier",
        ),
        pytest.param({"fetched": "CorruptWeights"}, ("Rejected", "CorruptWeights"), id="unsafe"),
        pytest.param(
            {"fetched": "CommitmentMismatch"}, ("Rejected", "CommitmentMismatch"), id="not what was committed to"
        ),
        pytest.param({"fetched": "HubUnavailable"}, ("InfraFault", "HubUnavailable"), id="hub down"),
        pytest.param({"fetched": "HubUnavailable", "at": -1}, ("Pending", "WaitingForModel"), id="hub was down"),
        pytest.param({"suspend": True}, ("Rejected", "Suspended"), id="suspended meanwhile"),
        pytest.param({"fetched": True, "generation": 2}, ("Pending", "WaitingForModel"), id="spec changed"),
    ],
)
def test_way_to_admission(make: Make, plan: Plan, model: dict[str, Any], state: tuple[str, str]) -> None:
    found = plan(make.started("a", "z", tasks=False), [make.model("a", **model), make.model("z")])
    assert found.states["a"] == state


def test_a_deletion_needs_a_live_read(make: Make, plan: Plan) -> None:
    assert plan(make.started("a")).reads.models == {"a"}
    assert plan(make.started("a"), gone=["a"]).states == {"a": ("Rejected", "ModelDeleted")}


def test_a_deleted_model_keeps_its_evaluation(make: Make, plan: Plan) -> None:
    done = {
        "a": {
            "state": "Succeeded",
            "reason": "Evaluated",
            "score": "0.500000",
            "weightsDigest": "sha256:" + "1" * 64,
        }
    }
    found = plan(make.started("a", results=done))
    assert found.results["a"].score == "0.500000"
    assert found.status.phase == "Complete"


def test_a_running_evaluation_of_a_deleted_model_is_stopped(make: Make, plan: Plan) -> None:
    running = {"a": {"state": "Running", "commit": "a" * 40, "weightsDigest": make.digest("1")}}
    job = make.evaluation(make.key("1"))
    found = plan(make.started("a", "b", results=running), [make.model("b")], jobs=[job], gone=["a"])
    assert found.states["a"] == ("Rejected", "ModelDeleted")
    assert [d.uid for d in found.delete] == [job.meta.uid]


def test_an_admitted_model_stays_while_another_round_fetches_it(make: Make, plan: Plan) -> None:
    fetching = {"conditions": [make.condition("Fetched", "Unknown", "Fetching")]}
    admitted = {"a": make.admitted("a")}
    found = plan(make.started("a", results=admitted), [make.model("a", revision="main", status=fetching)])
    assert found.states["a"] == ("Pending", "WaitingForSlot")
    assert [e.entry.model for e in found.evaluate] == ["a"]


def test_the_rounds_rules_reject(make: Make, plan: Plan) -> None:
    models = [make.model("a", fetched=True), make.model("b", fetched=True, weights="2", facts={"parameters": 999})]
    found = plan(make.started("a", "b", admission={"maxParameters": 999}), models)
    assert found.states == {"a": ("Rejected", "TooManyParameters"), "b": ("Pending", "WaitingForSlot")}
    assert [e.entry.model for e in found.evaluate] == ["b"]


@pytest.mark.parametrize(
    ("reason", "state"), [("CorruptWeights", "Rejected"), ("HubUnavailable", "InfraFault")], ids=["unsafe", "hub"]
)
def test_facts_of_an_earlier_fetch_do_not_admit(make: Make, plan: Plan, reason: str, state: str) -> None:
    resolved = {"resolved": make.facts() | {"at": "2026-01-01T00:00:00Z"}}
    found = plan(make.started("a"), [make.model("a", fetched=reason, status=resolved)])
    assert found.states["a"] == (state, reason)
    assert (found.results["a"].commit, found.results["a"].weights_digest) == (None, None)
    assert found.evaluate == ()


@pytest.mark.parametrize(
    "later",
    [
        pytest.param({"fetched": True, "weights": "2", "facts": {"commit": "b" * 40}}, id="the branch moved"),
        pytest.param({"fetched": "CorruptWeights"}, id="the branch broke"),
        pytest.param({"fetched": "HubUnavailable"}, id="the hub was away"),
    ],
)
def test_what_another_round_fetches_changes_no_admission(make: Make, plan: Plan, later: dict[str, Any]) -> None:
    """The tasks are known by then: a miner must not exchange the weights while they wait for a slot."""
    before = {"a": make.admitted("a")}
    model = make.model("a", revision="main", at=60, **later)
    found = plan(make.started("a", results=before), [model])
    assert found.states["a"] == ("Pending", "WaitingForSlot")
    assert [(e.entry.commit, e.entry.weights_digest) for e in found.evaluate] == [("a" * 40, make.digest("1"))]


def test_an_admitted_model_whose_commit_is_replaced_is_judged_again(make: Make, plan: Plan) -> None:
    """Also when the new commit was fetched before the round was looked at."""
    before = {"a": make.admitted("a", weights="2", commit="b" * 40)}
    found = plan(make.started("a", results=before), [make.model("a", fetched=True, generation=1)])
    assert [(e.entry.commit, e.entry.weights_digest) for e in found.evaluate] == [("a" * 40, make.digest("1"))]


def test_an_admitted_model_whose_spec_changes_waits_for_its_new_files(make: Make, plan: Plan) -> None:
    before = {"a": make.admitted("a")}
    found = plan(make.started("a", results=before), [make.model("a", fetched=True, generation=2)])
    assert found.states["a"] == ("Pending", "WaitingForModel")
    assert (found.results["a"].weights_digest, found.evaluate) == (None, ())


def test_a_model_that_is_being_fetched_for_the_first_time_is_not_taken_for_admitted(make: Make, plan: Plan) -> None:
    fetching = {"conditions": [make.condition("Fetched", "Unknown", "Fetching")]}
    found = plan(make.started("a"), [make.model("a", status=fetching)])
    assert found.states["a"] == ("Pending", "WaitingForModel")


def test_what_runs_is_frozen(make: Make, plan: Plan) -> None:
    """Other weights under the same name cannot get the result, nor start another evaluation."""
    running = {"a": make.admitted("a", commit="b" * 40) | {"state": "Running"}}
    job = make.evaluation(make.key("1", commit="b" * 40), active=1)
    models = [make.model("a", fetched=True, weights="2")]
    found = plan(make.started("a", results=running), models, jobs=[job], pods=[make.pod(job)])
    assert found.states["a"] == ("Running", "Evaluating")
    assert (found.results["a"].commit, found.results["a"].weights_digest) == (
        "b" * 40,
        running["a"]["weightsDigest"],
    )
    assert (found.evaluate, found.delete) == ((), ())


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param({"modelUid": "uid-before"}, id="before admission"),
        pytest.param({"state": "Running", "modelUid": "uid-before"}, id="running"),
    ],
)
def test_another_model_of_the_same_name_is_another_object(make: Make, plan: Plan, entry: dict[str, Any]) -> None:
    frozen = {"repo": "org/before", "hotkey": make.hotkey("before")}
    entries = {"a": (make.admitted("a") if "state" in entry else {}) | frozen | entry}
    found = plan(make.started("a", "z", results=entries), [make.model("a", fetched=True), make.model("z")])
    assert found.states["a"] == ("Rejected", "ModelReplaced")
    assert (found.results["a"].repo, found.results["a"].hotkey) == ("org/before", make.hotkey("before"))
    assert found.evaluate == ()


def test_the_set_is_frozen_with_its_objects(make: Make, plan: Plan) -> None:
    """A leaderboard without its models says whose each row was."""
    models = [make.model("a", hotkey="miner", commit_block=7), make.model("b")]
    found = plan(make.round(), models, selected=True).results
    assert (found["a"].model_uid, found["a"].repo, found["a"].commit_block) == ("uid-a", "org/a", 7)
    assert (found["a"].hotkey, found["b"].hotkey) == (make.hotkey("miner"), None)
    assert (found["a"].commit, found["a"].engine) == (None, None), "not admitted yet"


def test_a_changed_submission_is_recorded_until_it_is_admitted(make: Make, plan: Plan) -> None:
    frozen = {"a": {"modelUid": "uid-a", "repo": "org/before", "hotkey": make.hotkey("before")}}
    found = plan(make.started("a", results=frozen), [make.model("a", hotkey="now")]).results["a"]
    assert (found.repo, found.hotkey) == ("org/a", make.hotkey("now"))


def test_a_model_that_is_being_deleted_is_out(make: Make, plan: Plan) -> None:
    model = make.model("a", fetched=True, deletionTimestamp="2026-01-01T00:00:00Z")
    found = plan(make.started("a", "b"), [model, make.model("b")])
    assert found.states["a"] == ("Rejected", "ModelDeleted")
    assert found.evaluate == ()


def fixing(make: Make, *, published: bool = False, results: dict[str, Obj] | None = None, **more: Any) -> RoundObject:
    """A round that started at 0 and fixes its models before block 1000 and a secret give its seed."""
    seed = make.seed_from(published=published)
    return make.started("a", "z", at=0, tasks=False, results=results, spec_tasks=seed, **more)


def fixed(**more: Any) -> dict[str, Obj]:
    """The entry of a model whose commit was fixed and whose files were not looked at yet."""
    return {
        "a": {"commit": "a" * 40, "repo": "org/a", "promptFormat": "Hammer", "engine": {}, "modelUid": "uid-a"} | more
    }


RESOLVED = {"resolution": {"commit": "c" * 40, "generation": 1, "at": "2026-01-01T00:00:30Z"}}


@pytest.mark.parametrize(
    ("model", "commit", "reason"),
    [
        pytest.param({}, "a" * 40, "WaitingForModel", id="a commit, not fetched yet"),
        pytest.param({"fetched": "HubUnavailable"}, "a" * 40, "WaitingForModel", id="a commit, the hub is away"),
        pytest.param({"commit_block": 1000}, "a" * 40, "WaitingForModel", id="a commit of the seed's block"),
        pytest.param({"commit_block": 1001}, None, "CommitTooLate", id="a commit of a later block"),
        pytest.param({"revision": "main"}, None, "FreezingModels", id="a branch"),
        pytest.param({"revision": "main", "fetched": True}, None, "FreezingModels", id="a branch, fetched by its head"),
        pytest.param({"revision": "main", "status": RESOLVED}, "c" * 40, "WaitingForModel", id="a branch, resolved"),
        pytest.param(
            {"revision": "main", "fetched": "RevisionNotFound"},
            None,
            "RevisionNotFound",
            id="a branch that is not there",
        ),
        pytest.param(
            {"revision": "main", "fetched": "HubUnavailable"}, None, "FreezingModels", id="a branch, the hub is away"
        ),
        pytest.param({"suspend": True}, None, "Suspended", id="suspended meanwhile"),
        pytest.param({"fetched": "TooManyModels"}, None, "TooManyModels", id="beyond its hotkey's number"),
    ],
)
def test_what_a_round_fixes(make: Make, plan: Plan, model: dict[str, Any], commit: str | None, reason: str) -> None:
    found = plan(fixing(make), [make.model("a", **model), make.model("z")])
    assert (found.results["a"].commit, found.results["a"].reason) == (commit, reason)
    assert (found.task_set_attempt, found.evaluate) == (None, ())


@pytest.mark.parametrize(
    "model",
    [
        pytest.param({"revision": "main"}, id="a branch"),
        pytest.param({"revision": "main", "status": RESOLVED}, id="a branch that was resolved after the last look"),
        pytest.param({}, id="a commit that was named after the seed was published"),
    ],
)
def test_what_is_not_fixed_when_the_seed_is_published_is_too_late(
    make: Make, plan: Plan, model: dict[str, Any]
) -> None:
    found = plan(fixing(make, published=True), [make.model("a", **model), make.model("z")])
    assert found.states["a"] == ("Rejected", "CommitTooLate")


def test_named_commits_are_fixed_with_the_set(make: Make, plan: Plan) -> None:
    """In one write: nothing can be fixed in a round whose next pass comes after its seed is published."""
    models = [make.model("a"), make.model("b", revision="main")]
    found = plan(make.round(spec_tasks=make.seed_from()), models, selected=True)
    assert {name: r.commit for name, r in found.results.items()} == {"a": "a" * 40, "b": None}
    assert found.status.started_at == make.at(100)
    assert found.condition("TasksReady").reason == "FreezingModels"


def test_a_round_that_repeats_another_takes_named_commits_only(make: Make, plan: Plan) -> None:
    models = [make.model("a"), make.model("b", revision="main")]
    found = plan(make.round(spec_tasks=make.seed_from(published=True)), models, selected=True)
    assert found.states == {"a": ("Pending", "WaitingForModel"), "b": ("Rejected", "CommitTooLate")}


@pytest.mark.parametrize("published", [False, True], ids=["before the seed", "after it"])
def test_a_fixed_model_is_admitted_with_the_choices_of_then(make: Make, plan: Plan, published: bool) -> None:
    model = make.model("a", fetched=True, raw_spec={"promptFormat": "Vicuna"})
    found = plan(fixing(make, published=published, results=fixed()), [model, make.model("z")]).results["a"]
    assert (found.state, found.commit, found.prompt_format) == ("Pending", "a" * 40, "Hammer")
    assert found.weights_digest == make.digest("1")


def test_a_branch_that_moves_after_the_freeze_changes_nothing(make: Make, plan: Plan) -> None:
    moved = make.model("a", revision="main", fetched=True, facts={"commit": "b" * 40})
    found = plan(fixing(make, published=True, results=fixed()), [moved, make.model("z")])
    assert (found.states["a"], found.results["a"].commit) == (("Pending", "WaitingForModel"), "a" * 40)
    assert found.results["a"].weights_digest is None, "those are other files"


def test_a_revision_that_is_replaced_after_the_freeze_changes_nothing(make: Make, plan: Plan) -> None:
    """The miner's next submission, which the next round takes."""
    files = {"attempted": "a" * 40}
    model = make.model("a", revision="b" * 40, fetched=True, generation=2, status=files)
    old = plan(fixing(make, results=fixed()), [model, make.model("z")])
    assert old.results["a"].commit == "a" * 40


def test_another_source_after_the_freeze_is_too_late(make: Make, plan: Plan) -> None:
    results = fixed(repo="org/other")
    found = plan(fixing(make, results=results), [make.model("a", fetched=True), make.model("z")])
    assert found.states["a"] == ("Rejected", "CommitTooLate")


def test_a_directory_that_changes_after_the_freeze_is_too_late(make: Make, plan: Plan) -> None:
    now = make.model("a", fetched=True, at=10, facts={"commit": "b" * 40}, status={"attempted": "a" * 40})
    found = plan(fixing(make, results=fixed()), [now, make.model("z")])
    assert found.states["a"] == ("Rejected", "CommitTooLate")


@pytest.mark.parametrize(
    ("model", "state"),
    [
        pytest.param({"fetched": "CorruptWeights", "at": -9000}, ("Rejected", "CorruptWeights"), id="the named commit"),
        pytest.param(
            {"fetched": "CorruptWeights", "revision": "b" * 40}, ("Pending", "WaitingForModel"), id="another commit"
        ),
        pytest.param(
            {"fetched": "CorruptWeights", "revision": "main", "status": {"attempted": "a" * 40}},
            ("Rejected", "CorruptWeights"),
            id="the fixed commit of a branch",
        ),
        pytest.param(
            {"fetched": "CorruptWeights", "revision": "main"}, ("Pending", "WaitingForModel"), id="a branch's head"
        ),
        pytest.param({"fetched": "HubUnavailable", "at": -1}, ("Pending", "WaitingForModel"), id="the hub was away"),
        pytest.param({"fetched": "HubUnavailable", "at": 1}, ("InfraFault", "HubUnavailable"), id="the hub is away"),
    ],
)
def test_a_failed_fetch_counts_for_the_commit_that_it_was_about(
    make: Make, plan: Plan, model: dict[str, Any], state: tuple[str, str]
) -> None:
    found = plan(fixing(make, published=True, results=fixed()), [make.model("a", **model), make.model("z")])
    assert found.states["a"] == state


@pytest.mark.parametrize(
    ("bounded", "at", "admitted"),
    [
        pytest.param(False, -86_400, True, id="nothing is ever removed"),
        pytest.param(True, -86_400, False, id="it may have been removed"),
        pytest.param(True, -600, True, id="it was there just now"),
    ],
)
@pytest.mark.parametrize("seeded", [True, False], ids=["a validator's round", "a person's round"])
def test_files_must_have_been_seen_lately_where_they_may_be_removed(
    make: Make, bounded: bool, at: float, admitted: bool, seeded: bool
) -> None:
    model, pass_ = make.model("a", fetched=True, at=at), make.pass_(cache_is_bounded=bounded)
    more: dict[str, Any] = {"results": fixed(), "spec_tasks": make.seed_from()} if seeded else {}
    observed = make.started("a", at=0, **more)
    (found,) = admit(observed, models={"a": model}, pass_=pass_)
    assert (found.weights_digest is not None) == admitted
    result = fetch_result(model.status, generation=1)
    assert (needed_fetch(model, result, [observed], cache_is_bounded=bounded) is None) == admitted


def many(make: Make, number: int, **more: Any) -> list[ModelObject]:
    return [make.model(f"m{i:04}", commit_block=10_000 + i, hotkey=str(i), **more) for i in range(number)]


def test_more_models_than_a_round_can_hold(make: Make, plan: Plan) -> None:
    late = make.model("late", commit_block=10**9, hotkey="late")
    early = make.model("early", commit_block=1, hotkey="early")
    found = plan(make.round(), [late, *many(make, MAX_MODELS), early], selected=True)
    assert (len(found.results), found.status.counts.left_out) == (MAX_MODELS, 2)
    assert "early" in found.results
    assert found.results.keys().isdisjoint({"late", f"m{MAX_MODELS - 1:04}"})
    assert "2 more match" in found.events[0].message
    assert plan(make.round(), many(make, MAX_MODELS), selected=True).status.counts.left_out == 0


def test_one_hotkey_cannot_fill_a_round(make: Make) -> None:
    """Its models beyond the number that it may have come last, whatever blocks they claim."""
    flood = [make.model(f"flood{i:04}", commit_block=1, hotkey="flood") for i in range(2000)]
    found = select(ModelSelection(match_labels={}), [*flood, *many(make, MAX_MODELS - 8)], models_per_hotkey=8)
    assert sum(name.startswith("flood") for name in found.names) == 8
    assert (len(found.names), found.left_out) == (MAX_MODELS, 1992)


def flood_of(make: Make, hotkeys: int, each: int) -> list[ModelObject]:
    """Models of several hotkeys with blocks before those of `many`; the last of a hotkey is its last commitment."""
    return [
        make.model(f"f{hotkey:04}-{number}", commit_block=1 + number, hotkey=f"flood{hotkey}", created=number + 1)
        for hotkey in range(hotkeys)
        for number in range(each)
    ]


def test_each_hotkey_has_a_place_before_any_has_two(make: Make) -> None:
    """128 hotkeys of eight models fill no round, and each has its last commitment in it."""
    found = select(ModelSelection(match_labels={}), [*flood_of(make, 128, 8), *many(make, 512)], models_per_hotkey=8)
    assert sum(name.startswith("m") for name in found.names) == 512
    assert {name for name in found.names if name.endswith("-7")} == {f"f{hotkey:04}-7" for hotkey in range(128)}
    assert (len(found.names), found.left_out) == (MAX_MODELS, 512)


def test_a_later_model_does_not_cost_the_place_of_its_hotkey(make: Make) -> None:
    """Its place is by its first commit block, and its last commitment has it."""
    improved = [make.model(f"own{block}", commit_block=block, hotkey="own") for block in (1, 10**6)]
    found = select(ModelSelection(match_labels={}), [*improved, *many(make, MAX_MODELS)])
    assert set(found.names) & {"own1", "own1000000"} == {"own1000000"}


def test_models_that_are_too_late_take_no_place(make: Make) -> None:
    late = [make.model(f"late{i:04}", commit_block=block, hotkey=f"late{i}") for i in range(8) for block in (10**6,)]
    own = [make.model(f"own{block}", commit_block=block, hotkey="own") for block in (1, 10**6)]
    models = [*late, *own, *many(make, MAX_MODELS)]
    found = select(ModelSelection(match_labels={}), models, seed_block=10**5)
    assert set(found.names) - {m.meta.name for m in many(make, MAX_MODELS)} == {"own1"}


def test_a_model_without_a_block_comes_after_those_with_one(make: Make) -> None:
    free = [make.model(name, created=created) for name, created in (("younger", 9), ("older", 1))]
    found = select(ModelSelection(match_labels={}), [*free, *many(make, MAX_MODELS - 1)])
    assert set(found.names) & {"younger", "older"} == {"older"}


def test_a_state_of_a_later_version_is_decided_by_this_one(make: Make, plan: Plan) -> None:
    observed = make.started("a", "b", results={"a": {"state": "Polished", "reason": "NeverHeardOf"}}, tasks=False)
    found = plan(observed, [make.model("a", fetched=True), make.model("b")])
    assert found.states["a"] == ("Pending", "WaitingForTasks")
    assert found.status.counts.pending == 2


@pytest.mark.parametrize(
    ("selection", "expected"),
    [({"matchLabels": {}}, {"a", "b"}), ({"names": ["b", "c"]}, {"b"})],
    ids=["labels", "names"],
)
def test_the_models_that_a_selection_means_and_that_cannot_be_read(
    selection: dict[str, Any], expected: set[str]
) -> None:
    found = unreadable(ModelSelection.model_validate(selection), {"a": "spec.x", "b": "spec.y"})
    assert set(found) == expected
