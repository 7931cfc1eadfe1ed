"""Alert rules: Prometheus takes them, each fires on its example and not on the one beside it, and its metrics exist."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from bitagent_local.cluster.monitoring import monitoring_tools

if TYPE_CHECKING:
    from tests.unit.charts.conftest import Helm

NS = 'namespace="bitagent"'
ENABLED = {"metrics": {"prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}}}}


@dataclass(frozen=True)
class Case:
    """Series with which an alert fires after some minutes, and the values of the same series with which it does not."""

    fires: Mapping[str, str]
    silent: Mapping[str, str]
    minutes: int = 60


def _phase(failed: str, running: str) -> dict[str, str]:
    return {
        f'bitagent_round_phase{{{NS},round="r1",phase="Failed"}}': failed,
        f'bitagent_round_phase{{{NS},round="r1",phase="Running"}}': running,
    }


def _one(name: str, fires: str, silent: str, labels: str = "", minutes: int = 60) -> Case:
    series = f"{name}{{{NS}{labels}}}"
    return Case({series: fires}, {series: silent}, minutes)


KIND = ',kind="evalrounds"'
LEADER = f"bitagent_operator_leader{{{NS}}}"
WATCHING = f"bitagent_operator_watching{{{NS}{KIND}}}"
MEMORY, BUILD = (
    f'{n}{{{NS},instance="a",pod="p"}}' for n in ("process_resident_memory_bytes", "bitagent_operator_build_info")
)
ENDED = ',component="fetch",reason="HubUnavailable"'
FREE, SIZE = (
    f'kubelet_volume_stats_{n}_bytes{{{NS},persistentvolumeclaim="bitagent-operator-artifacts"}}'
    for n in ("available", "capacity")
)
FULL, SLOT = (f'bitagent_models_waiting{{{NS},reason="{reason}"}}' for reason in ("CacheFull", "WaitingForFetchSlot"))
WAITS = f'bitagent_round_results_waiting{{{NS},reason="WaitingInQueue"}}'
RUNS = f'bitagent_round_results{{{NS},state="Running"}}'
UNSCORED = f'bitagent_finished_round_results{{{NS},state="Unscored"}}'
PERMITTED, CONNECTED, CURRENT, AGE, LEFT, OLD, TRUST, FROZEN, PASS, HELD, SETS = (
    f"bitagent_validator_{name}{{{NS}}}"
    for name in (
        "permitted", "chain_connected", "weights_current", "weights_age_blocks", "blocks_until_inactive",
        "chain_age_seconds", "validator_trust_ratio", "frozen", "last_whole_pass_timestamp_seconds", "lease_held",
        "sets_weights",
    )
)  # fmt: skip

CASES = {
    "BitagentOperatorDown": [
        Case({LEADER: "0x100"}, {LEADER: "1x100"}),
        Case({}, {LEADER: "1x100"}),
        Case({LEADER: "1x40 stale", 'bitagent_operator_leader{namespace="other"}': "1x100"}, {LEADER: "1x100"}),
    ],
    "BitagentKindNotServed": [_one("bitagent_operator_kind_served", "0x100", "1x100", KIND)],
    "BitagentOperatorNotWatching": [
        Case({WATCHING: "0x100", LEADER: "1x100"}, {WATCHING: "0x100", LEADER: "0x100"}),
        Case({WATCHING: "0x100", LEADER: "1x100"}, {WATCHING: "1x100", LEADER: "1x100"}),
    ],
    "BitagentOperatorBehind": [_one("bitagent_operator_queue_oldest_seconds", "31x100", "30x100")],
    "BitagentOperatorPassesFail": [_one("bitagent_operator_queue_backing_off", "1x100", "0x100")],
    "BitagentNamespaceRestarts": [_one("bitagent_operator_restarts_total", "0+1x100", "0x20 2x80")],
    "BitagentObjectsInvalid": [
        _one("bitagent_operator_invalid_objects", "1x100", "0x100", KIND),
        _one("bitagent_operator_unreadable_objects", "1x100", "0x100", KIND),
    ],
    "BitagentJobsRefused": [
        _one("bitagent_operator_jobs_refused_total", "0+1x100", "7x100", ',component="fetch",reason="JobRefused"')
    ],
    "BitagentEventsDropped": [_one("bitagent_operator_events_dropped_total", "0+1x100", "7x100")],
    "BitagentOperatorMemoryHigh": [
        Case({MEMORY: "450000000x100", BUILD: "1x100"}, {MEMORY: "450000000x100"}),
        Case({MEMORY: "450000000x100", BUILD: "1x100"}, {MEMORY: "250000000x100", BUILD: "1x100"}),
    ],
    "BitagentRoundOverdue": [_one("bitagent_oldest_unfinished_round_age_seconds", "21601x100", "21600x100")],
    "BitagentRoundFailed": [
        Case(_phase("_x30 1x30", "1x29 stale"), _phase("_x100", "1x100"), 40),
        Case(_phase("_x30 1x30", "1x29 stale"), _phase("1x100", "_x100"), 61),
    ],
    "BitagentFetchesFail": [_one("bitagent_operator_work_ended_total", "0+1x100", "5x100", ENDED)],
    "BitagentModelsUnscored": [Case({UNSCORED: "0x1440 3x20"}, {UNSCORED: "3x1460"}, 1445)],
    "BitagentCacheFull": [
        Case({FULL: "1x100"}, {SLOT: "1x100"}),
        Case({FULL: "1x100"}, {FULL: "1x20 stale"}),
    ],
    "BitagentWorkWaits": [
        Case({WAITS: "2x100", RUNS: "0x100"}, {WAITS: "2x100", RUNS: "1x100"}, 70),
        Case({WAITS: "2x100"}, {WAITS: "2x30 stale", RUNS: "0x100"}, 70),
    ],
    "BitagentQueueStuck": [_one("bitagent_round_results_waiting", "1x100", "1x20 stale", ',reason="QueueUnavailable"')],
    "BitagentRewriterDown": [_one("bitagent_rewriter_ready", "0x100", "1x100", ',validator="v"')],
    "BitagentEndpointDown": [_one("bitagent_validator_chain_reconnects_total", "0+1x100", "5x100")],
    "BitagentEndpointsContradict": [
        Case(
            {f"bitagent_validator_contradicting_endpoints{{{NS}}}": "0x10 1 0x9 1 0x9 1x80", CONNECTED: "1x110"},
            {f"bitagent_validator_contradicting_endpoints{{{NS}}}": "1x10 0x100", CONNECTED: "1x110"},
            45,
        ),
    ],
    "BitagentValidatorNotDeployed": [_one("bitagent_validator_deployed", "0x100", "1x100", ',validator="v"')],
    "BitagentChainDisconnected": [_one("bitagent_validator_chain_connected", "0x100", "1x100")],
    "BitagentValidatorNotPermitted": [
        Case({PERMITTED: "0x100", CONNECTED: "1x100", SETS: "1x100"}, {PERMITTED: "0x100", CONNECTED: "0x100"}, 70),
        Case({PERMITTED: "0x100", CONNECTED: "1x100", SETS: "1x100"}, {PERMITTED: "1x100", CONNECTED: "1x100"}, 70),
        Case(
            {PERMITTED: "0x100", CONNECTED: "1x100", SETS: "1x100"},
            {PERMITTED: "0x100", CONNECTED: "1x100", SETS: "0x100"},
            70,
        ),
    ],
    "BitagentWeightsNotCurrent": [
        Case({CURRENT: "0x500", CONNECTED: "1x500", SETS: "1x500"}, {CURRENT: "0x500", CONNECTED: "0x500"}, 400),
        Case({CURRENT: "0x500", CONNECTED: "1x500", SETS: "1x500"}, {CURRENT: "1x500", CONNECTED: "1x500"}, 400),
        Case(
            {CURRENT: "0x500", CONNECTED: "1x500", SETS: "1x500"},
            {CURRENT: "0x500", CONNECTED: "1x500", SETS: "0x500"},
            400,
        ),
    ],
    "BitagentPageNamespaceUnread": [_one("bitagent_leaderboard_unread_namespaces", "1x100", "0x100", minutes=30)],
    "BitagentForeignWeights": [_one("bitagent_validator_foreign_weights", "1x100", "0x100")],
    "BitagentOnlineStopped": [
        _one("bitagent_validator_online_problem", "1x200", "0x200", ',reason="ExaminerUnavailable"', 150),
        Case(
            {f'bitagent_validator_online_problem{{{NS},reason="NoMinerAnswered"}}': "1x200"},
            {f'bitagent_validator_online_problem{{{NS},reason="RoundsNotStarted"}}': "1x200"},
            150,
        ),
    ],
    "BitagentRoundsBehind": [_one("bitagent_validator_rounds_behind_epochs", "2x100", "1x100", ',competition="c"')],
    "BitagentWeightsStale": [
        Case({AGE: "300x100", LEFT: "100x100", SETS: "1x100"}, {AGE: "200x100", LEFT: "200x100", SETS: "1x100"}),
        Case({AGE: "300x100", LEFT: "-50x100", SETS: "1x100"}, {AGE: "20x100", LEFT: "4980x100", SETS: "1x100"}),
        Case({AGE: "300x100", LEFT: "100x100", SETS: "1x100"}, {AGE: "300x100", LEFT: "100x100", SETS: "0x100"}),
    ],
    "BitagentSubmissionsFail": [
        _one("bitagent_validator_submissions_total", "0+1x100", "5x100", ',outcome="Refused"'),
        Case(
            {f'bitagent_validator_submissions_total{{{NS},outcome="Unknown"}}': "0+1x100"},
            {f'bitagent_validator_submissions_total{{{NS},outcome="Included"}}': "0+1x100"},
        ),
    ],
    "BitagentRevealMissed": [_one("bitagent_validator_reveals_total", "0x30 1x100", "1x100", ',outcome="Missed"')],
    "BitagentChainBehind": [Case({OLD: "301x100", CONNECTED: "1x100"}, {OLD: "24x100", CONNECTED: "1x100"})],
    "BitagentClockBehind": [_one("bitagent_validator_chain_age_seconds", "-11x100", "-9x100")],
    "BitagentColdkeyLow": [_one("bitagent_validator_coldkey_balance_tokens", "0.04x100", "0.06x100", minutes=70)],
    "BitagentValidatorTrustFalls": [
        Case({TRUST: "1x30 0.6x200", FROZEN: "0x230"}, {TRUST: "1x30 0.8x200", FROZEN: "0x230"}, 200),
        Case({TRUST: "1x30 0.6x200", FROZEN: "0x230"}, {TRUST: "1x30 0.6x200", FROZEN: "1x230"}, 200),
    ],
    "BitagentPassesFail": [
        Case({PASS: "0x100", HELD: "1x100"}, {PASS: "0+60x100", HELD: "1x100"}),
        Case({PASS: "0x100", HELD: "1x100"}, {PASS: "0x100", HELD: "0x100"}),
    ],
    "BitagentFetchesWait": [
        _one("bitagent_models_waiting", "1x100", "1x40 stale", ',reason="Evicted"', 70),
        Case(
            {f'bitagent_models_waiting{{{NS},reason="ImagePullFailed"}}': "1x100"}, {SLOT: "1x100", FULL: "1x100"}, 70
        ),
    ],
    "BitagentFilesWait": [_one("bitagent_round_files_waiting", "1x400", "1x200 stale", ',reason="ArchiveDenied"', 390)],
    "BitagentTracesLost": [
        Case(
            {f'bitagent_operator_trace_spans_total{{{NS},outcome="unsent"}}': "0+1x100"},
            {f'bitagent_operator_trace_spans_total{{{NS},outcome="sent"}}': "0+1x100"},
        )
    ],
    "BitagentRecordsDropped": [
        _one(f"bitagent_validator_{name}_dropped_total", "0+1x100", "3x100", ',pod="p"')
        for name in ("tracking_rows", "transcripts")
    ],
    "BitagentPageRestarts": [_one("bitagent_leaderboard_restarts_total", "0+1x100", "0x20 2x80")],
    "BitagentPageErrors": [
        Case(
            {f'bitagent_leaderboard_requests_total{{{NS},document="page",code="500"}}': "0+1x100"},
            {f'bitagent_leaderboard_requests_total{{{NS},document="events",code="503"}}': "0+1x100"},
        )
    ],
    "BitagentPageManifestsRefused": [
        Case(
            {f'bitagent_leaderboard_manifests_total{{{NS},outcome="refused"}}': "0x30 1x100"},
            {f'bitagent_leaderboard_manifests_total{{{NS},outcome="missing"}}': "0+1x100"},
        )
    ],
    "BitagentVolumeNearlyFull": [
        Case({FREE: "9x100", SIZE: "100x100"}, {FREE: "11x100", SIZE: "100x100"}),
    ],
}

FIGURES = {
    "bitagent_leaderboard": "changes_total last_change_timestamp_seconds readers request_seconds",
    "bitagent": "models rounds",
    "bitagent_operator": (
        "cache_evicted_bytes_total cache_evictions_total evaluation_phase_seconds generated_tokens_total "
        "jobs_created_total model_volumes_deleted_total "
        "objects_deleted_total queue_length reconcile_duration_seconds"
    ),
    "bitagent_round": (
        "done_ratio evaluation_seconds generated_tokens_per_second gpu_generating_seconds gpu_held_seconds "
        "model_evaluation_seconds start_timestamp_seconds"
    ),
    "bitagent_validator": (
        "discovered_models dividends_ratio finalized_block last_weights_block models_deleted_total "
        "online_answer_seconds online_miners online_step_block paid_hotkeys part_failures_total round_epoch "
        "rounds_total stake_tokens submission_seconds"
    ),
    "process": "cpu_seconds_total max_fds start_time_seconds virtual_memory_bytes",
}
"""Metrics that count or measure, and of which no value by itself is a trouble, by the beginnings of their names."""


@pytest.fixture(scope="module")
def rules(helm_for: Callable[[str], Helm], tmp_path_factory: pytest.TempPathFactory) -> Path:
    rule = helm_for("bitagent-operator").render(ENABLED).one("PrometheusRule")
    file = tmp_path_factory.mktemp("rules") / "rules.yaml"
    file.write_text(yaml.safe_dump(rule["spec"]))
    return file


@pytest.fixture(scope="module")
def alerts(rules: Path) -> dict[str, dict[str, Any]]:
    """The rules by their names."""
    return {rule["alert"]: rule for group in yaml.safe_load(rules.read_text())["groups"] for rule in group["rules"]}


def _promtool(*args: str) -> None:
    done = subprocess.run([str(monitoring_tools() / "promtool"), *args], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_them(rules: Path) -> None:
    _promtool("check", "rules", str(rules))


def test_each_has_an_example(alerts: dict[str, dict[str, Any]]) -> None:
    assert set(alerts) == set(CASES)


@pytest.mark.parametrize(
    ("alert", "case"), [pytest.param(a, c, id=f"{a}-{i}") for a, cases in CASES.items() for i, c in enumerate(cases)]
)
def test_it_fires_and_it_does_not(alerts: dict[str, dict[str, Any]], tmp_path: Path, alert: str, case: Case) -> None:
    def group(series: Mapping[str, str], firing: bool) -> dict[str, Any]:
        return {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})',
                    "eval_time": f"{case.minutes}m",
                    "exp_samples": [{"labels": "{}", "value": 1}] if firing else [],
                }
            ],
        }

    alone = {"groups": [{"name": "alone", "rules": [alerts[alert]]}]}  # to evaluate all of them takes a second
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(alone))
    test = {"rule_files": ["rules.yaml"], "tests": [group(case.fires, True), group(case.silent, False)]}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(test))
    _promtool("test", "rules", str(tmp_path / "test.yaml"))


def test_their_metrics_exist(alerts: dict[str, dict[str, Any]], root: Path) -> None:
    documented = set(re.findall(r"`(\w+)`", (root / "docs" / "metrics.md").read_text()))
    named = {
        name
        for rule in alerts.values()
        for name in re.findall(r"\b(?:bitagent|process)_\w+", re.sub(r'"[^"]*"', "", rule["expr"]))
    }
    assert named
    assert not named - documented


def test_every_metric_calls_somebody_or_the_runbook_says_why_not(alerts: dict[str, dict[str, Any]], root: Path) -> None:
    """A new metric needs a decision: an alert, a row of the runbook, or to be a figure without a trouble."""
    metrics = set(re.findall(r"^\| `(\w+)`", (root / "docs" / "metrics.md").read_text(), re.MULTILINE))
    used = {name for rule in alerts.values() for name in metrics if re.search(rf"\b{name}\b", rule["expr"])}
    section = (root / "docs" / "runbook.md").read_text().split("\n## Alerts\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    excused = {name for row in rows for name in re.findall(r"`(\w+)", row)}
    assert excused <= metrics
    figures = {f"{part}_{name}" for part, names in FIGURES.items() for name in names.split()}
    assert metrics - used - excused - figures == set()
    assert figures & (used | excused) == set()


def test_each_says_what_to_do_and_where(alerts: dict[str, dict[str, Any]], root: Path) -> None:
    headings = set(re.findall(r"^### (\w+)$", (root / "docs" / "alerts.md").read_text(), re.MULTILINE))
    for name, rule in alerts.items():
        assert rule["annotations"]["runbook_url"] == f"docs/alerts.md#{name.lower()}"
        assert {"summary", "description", "action"} <= set(rule["annotations"])
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert headings == set(alerts)


def test_values_choose(helm_for: Callable[[str], Helm]) -> None:
    helm = helm_for("bitagent-operator")
    assert not helm.render().all("PrometheusRule")
    chosen = {
        "enabled": True, "disabled": ["BitagentRoundOverdue"], "labels": {"release": "prometheus"},
        "runbookUrl": "https://docs.example/alerts",
    }  # fmt: skip
    values = {"metrics": {"prometheusRule": chosen}, "artifacts": {"existingClaim": "results"}}
    rule = helm.render(values).one("PrometheusRule")
    found = {r["alert"]: r for g in rule["spec"]["groups"] for r in g["rules"]}
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    assert "BitagentRoundOverdue" not in found
    assert '"results|bitagent-operator-models"' in found["BitagentVolumeNearlyFull"]["expr"]
    assert (
        found["BitagentRoundFailed"]["annotations"]["runbook_url"] == "https://docs.example/alerts#bitagentroundfailed"
    )


def test_a_round_may_take_as_long_as_the_values_say(helm_for: Callable[[str], Helm]) -> None:
    values = {"metrics": {"prometheusRule": {"enabled": True, "roundOverdueSeconds": 1000000}}}
    rule = helm_for("bitagent-operator").render(values).one("PrometheusRule")
    (found,) = [r for g in rule["spec"]["groups"] for r in g["rules"] if r["alert"] == "BitagentRoundOverdue"]
    assert found["expr"].endswith("> 1000000")
