"""What comes in through the door, and what stays outside."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from bitagent_leaderboard.model.objects import Phase
from bitagent_leaderboard.model.reading import RoundReader, read_model, read_validator
from tests import leaderboard_objects as objects

SEED_FROM = {"block": 700, "secretDigest": objects.digest("x")}
REVEALED = SEED_FROM | {"blockHash": "0x" + "1" * 64, "secret": "2" * 64}


def read(obj: dict[str, Any]) -> Any:
    return RoundReader()(obj)


def seen(value: Any) -> str:
    """All that a view has, but for what is marked as never shown."""
    return json.dumps({k: v for k, v in asdict(value).items() if k not in ("secrets", "archive")}, default=str)


class TestRound:
    def test_complete(self) -> None:
        found = read(objects.round_("demo-tools-4", [objects.scored(1, 0.5, 2), objects.scored(2, 0.75, 1)], epoch=4))
        assert (found.phase, found.validator, found.competition, found.epoch) == (Phase.COMPLETE, "demo", "tools", 4)
        assert [(each.model, each.rank, each.score) for each in found.ranked] == [
            ("model-2", 1, "0.750000"),
            ("model-1", 2, "0.500000"),
        ]
        assert (found.seed, found.baseline) == (f"{objects.SEED}-demo-tools-4", "0.250000")
        assert found.image == "evaluator@sha256:" + "a" * 64, "without the registry"
        assert found.by_model["model-2"].repo == "miner-2/model"

    @pytest.mark.parametrize("phase", ["Running", "Preparing", "Failed"])
    def test_what_would_help_a_miner_stays_out_until_it_is_complete(self, phase: str) -> None:
        results = [objects.scored(1, 0.512345, 1), objects.pending(2, 10, 400)]
        results[0] |= {"loss": "1.234567", "nearCopyOf": "model-2", "batchLosses": ["1.500000"]}
        found = read(objects.round_("x", results, phase=phase, tasks={"seed": "SEED"}))
        text = seen(found)
        hidden = ["SEED", "0.512345", "1.234567", objects.commit(1), "miner-1", objects.key(1), "sha256", "0.250000"]
        assert [each for each in hidden if each in text] == []
        assert found.by_model["model-1"].state == "Succeeded"
        assert (found.by_model["model-2"].done, found.by_model["model-2"].total) == (10, 400)

    @pytest.mark.parametrize(
        ("results", "words"),
        [
            ([objects.scored(1, 0.5, 1)], ["node-secret", "SKETCH"]),
            ([objects.refused(1)], ["own words"]),
            ([objects.scored(1, 0.5, 1, evidence={"weights": "0.987654", "answers": "0.912345"})], ["0.987", "0.912"]),
            ([objects.scored(1, 0.5, 1, repo="volume/secret-claim/folder")], ["secret-claim"]),
            ([objects.scored(1, 0.5, 1, key="../../tasks")], [".."]),
        ],
        ids=["nodes and sketches", "messages", "evidence", "volumes", "keys that are none"],
    )
    def test_what_stays_out_for_ever(self, results: list[dict[str, Any]], words: list[str]) -> None:
        text = seen(read(objects.round_("x", results)))
        assert [word for word in [*words, "secret-claim", "registry.internal", "pvc:"] if word in text] == []

    def test_a_failed_round_counts_as_one_that_is_not_complete(self) -> None:
        made = objects.round_("x", [objects.scored(1, 0.5, 1)])
        made["status"]["conditions"].append(objects.condition("Failed", "InfrastructureFaults"))
        found = read(made)
        assert (found.phase, found.ranked) == (Phase.FAILED, ())

    def test_a_round_whose_tasks_are_asked_online_is_never_complete(self) -> None:
        made = objects.round_("x", [])
        made["spec"]["tasksOnly"] = True
        found = read(made)
        assert (found.phase, found.asked_online, found.seed, found.task_set_digest) == (Phase.WAITING, True, None, None)

    @pytest.mark.parametrize(
        ("first", "second", "shared"),
        [
            ({"seed": "a"}, {"seed": "a"}, True),
            ({"seed": "a"}, {"seed": "b"}, False),
            ({"seedFrom": SEED_FROM}, {"seedFrom": REVEALED}, True),
            ({"seedFrom": SEED_FROM}, {"seedFrom": SEED_FROM | {"block": 701}}, False),
        ],
        ids=["one seed", "two seeds", "not revealed yet", "another block"],
    )
    def test_secrets_tell_that_two_rounds_ask_the_same(self, first: Any, second: Any, shared: bool) -> None:
        tasks = {"seed": None}
        several = [read(objects.round_("x", [], tasks=tasks | each)) for each in (first, second)]
        assert bool(several[0].secrets & several[1].secrets) is shared

    @pytest.mark.parametrize(
        ("tasks", "public"),
        [
            ({}, True),
            ({"sources": [{"huggingFace": {"repo": "a/b"}}]}, True),
            (
                {
                    "sources": [
                        {"huggingFace": {"repo": "a/b", "tokenSecretRef": {"name": "bitagent-job-x", "key": "k"}}}
                    ]
                },
                False,
            ),
            ({"sources": [{"jsonl": {"configMap": {"name": "x", "key": "k"}}}]}, False),
            ({"sources": [{"jsonl": {"url": {"url": "http://files.internal/x", "digest": objects.digest(1)}}}]}, False),
            ({"sources": [{"stream": {"url": "http://files.internal/x"}}]}, False),
            ({"alterations": [{"rewrite": {"url": "http://llm.internal/v1", "model": "m"}}]}, False),
        ],
        ids=["bfcl", "dataset", "private dataset", "ConfigMap", "url", "stream", "rewriter"],
    )
    def test_the_spec_is_public_only_if_its_sources_are(self, tasks: Any, public: bool) -> None:
        found = read(objects.round_("x", [objects.scored(1, 0.5, 1)], tasks=tasks))
        assert (found.document is not None) is public

    def test_results_that_have_not_changed_are_taken_over(self) -> None:
        reader = RoundReader()
        entries = [objects.pending(1, 1, 400), objects.pending(2, 1, 400)]
        first = reader(objects.round_("x", entries, phase="Running"))
        second = reader(objects.round_("x", [entries[0], objects.pending(2, 2, 400)], phase="Running", version=2))
        assert second.by_model["model-1"] is first.by_model["model-1"]
        assert (first.by_model["model-2"].done, second.by_model["model-2"].done) == (1, 2)

    def test_results_are_read_again_once_they_may_be_seen(self) -> None:
        reader, entry = RoundReader(), objects.scored(1, 0.5, 1)
        assert reader(objects.round_("x", [entry], phase="Running")).by_model["model-1"].score is None
        assert reader(objects.round_("x", [entry], version=2)).by_model["model-1"].score == "0.500000"

    def test_reasons_and_states_of_a_later_version(self) -> None:
        entry = objects.refused(1, "Parked", "QuotaOfMoonlight")
        result = read(objects.round_("x", [entry])).by_model["model-1"]
        assert (result.state, result.outcome.reason) == ("Parked", "QuotaOfMoonlight")
        assert "later version" in result.outcome.meaning

    @pytest.mark.parametrize("name", ["../x", "A", "x/y", "x" * 64, "", "<b>"])
    def test_names_of_objects_have_their_form(self, name: str) -> None:
        with pytest.raises(ValueError, match=r"metadata\.name"):
            read(objects.round_(name, []))


class TestModel:
    def test_a_commitment_on_the_chain_is_public(self) -> None:
        found = read_model(objects.model(1))
        assert (found.repo, found.commit, found.committed) == ("miner-1/model", objects.commit(1), 1001)
        assert (found.architecture, found.parameters) == ("Qwen2ForCausalLM", 494_000_000)

    def test_any_other_source_is_not(self) -> None:
        found = read_model(objects.model(1, committed=False))
        assert (found.repo, found.commit, found.architecture) == (None, None, "")

    def test_what_an_axon_has_answered_is_not(self) -> None:
        made = objects.model(1)
        made["metadata"].setdefault("labels", {})["bitagent.io/submitted-by"] = "axon"
        assert (read_model(made).repo, read_model(made).commit) == (None, None)

    def test_a_private_repository_is_not(self) -> None:
        made = objects.model(1)
        made["spec"]["source"]["huggingFace"]["tokenSecretRef"] = {"name": "bitagent-job-t", "key": "k"}
        assert read_model(made).repo is None

    def test_what_a_miner_wrote_becomes_visible(self) -> None:
        made = objects.model(1)
        made["status"]["resolved"] |= {"license": "mit\u202egnp", "architecture": "A\x1b[31m"}
        found = read_model(made)
        assert (found.license, found.architecture) == ("mit\\u202egnp", "A\\x1b[31m")


class TestValidator:
    WEIGHTS = {1: "0.25000000", 2: "0.75000000"}
    ONLINE = [objects.step(objects.asked(1, score="0.400000", mean="0.300000"))]
    UNPAID = [{"competition": "tools", "hotkey": objects.hotkey(3), "reason": "NearCopy"}]

    def test_weights_that_the_chain_shows(self) -> None:
        found = read_validator(
            objects.validator(weights=self.WEIGHTS, rounds=["r"], unpaid=self.UNPAID, online=self.ONLINE)
        )
        assert [(each.competition, each.answers[0].mean) for each in found.online] == [("tools", "0.300000")]
        assert "node-secret" not in seen(found)
        assert found.weights == ((objects.hotkey(2), "0.75000000"), (objects.hotkey(1), "0.25000000"))
        assert found.last is not None
        assert (found.last.block, found.last.rounds) == (7100, ("r",))
        assert [(each.hotkey, each.standing) for each in found.unpaid] == [(objects.hotkey(3), "NearCopy")]

    @pytest.mark.parametrize("reason", ["RevealPending", "WeightsPending", "DryRun", "SubmissionFailed"])
    def test_a_row_that_the_chain_does_not_show_is_for_this_validator_alone(self, reason: str) -> None:
        found = read_validator(
            objects.validator(weights=self.WEIGHTS, unpaid=self.UNPAID, online=self.ONLINE, reason=reason)
        )
        assert (found.weights, found.unpaid, found.online, found.weights_current) == ((), (), (), False)

    def test_endpoints_secrets_and_messages_stay_out(self) -> None:
        text = json.dumps(asdict(read_validator(objects.validator(rounds=["r"]))), default=str)
        assert [word for word in ("chain.internal", "secret-wallet", "connected") if word in text] == []
