"""Write Grafana's dashboards into the operator's chart: `python charts/dashboards.py`.

One function for each: `bitagent-operator/files/dashboards/NAME.json` is what Grafana imports, and docs/dashboards.md
says what it answers. With `--check` it only compares. tests/unit/charts/test_dashboards.py holds every query against
the metrics that operator and validators export.

Standby replicas of the operator show objects too, so gauges of objects are maxima. A validator that does not read the
chain repeats its last reading (`bitagent_validator_frozen`): graphs leave that out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from panels import bars, board, graph, matrix, number, overview, variable

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "charts/bitagent-operator/files/dashboards"
NS = 'namespace=~"$namespace"'
POD = f'{{{NS}, pod=~"$pod"}}'
ROUND = f'{{{NS}, round="$round"}}'


def grown(series: str, by: str, *, hours: int = 1) -> str:
    """Return the query of how much counters have grown.

    Prometheus sees no increase in a series that begins at 1, such as the first failure of a kind: of series that are
    younger than the period, the value counts.
    """
    return f"sum by ({by}) (({series} unless {series} offset {hours}h) or increase({series}[{hours}h]))"


def fleet() -> dashboard.Dashboard:
    """Return the dashboard of all validators: may they act, are their weights current, what do they earn."""

    def v(metric: str) -> str:
        return f"bitagent_validator_{metric}{POD}"

    def read(metric: str) -> str:
        return f"{v(metric)} unless on (namespace, pod) bitagent_validator_frozen == 1"

    def hourly(metric: str, by: str) -> str:
        return grown(v(metric), by)

    def count(selected: str) -> tuple[str, str]:
        return f"count({selected}) or vector(0)", ""

    age = v("weights_age_blocks")
    used = f"{age} / ({age} + clamp_min({v('blocks_until_inactive')}, 0))"
    not_ready = f"max by (namespace, validator) (bitagent_validator_deployed{{{NS}}}) == 0"
    columns = [
        ("Time to cutoff used", "percentunit", used),
        ("Blocks since weights", "none", age),
        ("Weights current", "bool_yes_no", v("weights_current")),
        ("Permitted", "bool_yes_no", v("permitted")),
        ("Chain answers", "bool_yes_no", v("chain_connected")),
        ("Frozen", "bool_yes_no", v("frozen")),
        ("Epochs behind", "none", v("rounds_behind_epochs")),
        ("Validator trust", "percentunit", v("validator_trust_ratio")),
        ("Dividends", "percentunit", v("dividends_ratio")),
        ("Stake", "none", v("stake_tokens")),
        ("Coldkey", "none", v("coldkey_balance_tokens")),
    ]
    made = board("fleet", "bitagent / fleet", "Weights, pay and rounds of all validators.")
    panels = [
        overview("Validators now", "A frozen row is the last reading of the chain.", columns),
        number("Pods not ready", "", "none", count(not_ready), alarm=True, width=6),
        number("Weights not current", "", "none", count(f"{v('weights_current')} == 0"), alarm=True, width=6),
        number("Not permitted", "", "none", count(f"{v('permitted')} == 0"), alarm=True, width=6),
        number("Frozen", "", "none", count(f"{v('frozen')} == 1"), alarm=True, width=6),
        dashboard.Row("Weights"),
        graph(
            "Time to the activity cutoff used",
            "At 100% the subnet ignores the validator.",
            "percentunit",
            (f"({used}) unless on (namespace, pod) bitagent_validator_frozen == 1", "{{pod}}"),
            limits=(0.5, 0.7),
        ),
        graph("Blocks since weights were set", "", "none", (read("weights_age_blocks"), "{{pod}}")),
        graph(
            "Submissions in an hour",
            "By outcome.",
            "none",
            (hourly("submissions_total", "pod, outcome"), "{{pod}} {{outcome}}"),
        ),
        graph("Hotkeys paid", "", "none", (v("paid_hotkeys"), "{{pod}}")),
        graph(
            "Hotkeys that earn nothing",
            "By competition and reason.",
            "none",
            (v("unpaid_hotkeys"), "{{pod}} {{competition}} {{reason}}"),
        ),
        graph(
            "Sealed rows in a day",
            "Revealed, or missed.",
            "none",
            (grown(v("reveals_total"), "pod, outcome", hours=24), "{{pod}} {{outcome}}"),
        ),
        dashboard.Row("Pay"),
        graph("Validator trust", "", "percentunit", (read("validator_trust_ratio"), "{{pod}}")),
        graph("Dividends", "Share in the last epoch.", "percentunit", (read("dividends_ratio"), "{{pod}}")),
        graph(
            "Stake gained in a day",
            "Emission, and what was staked less what was withdrawn.",
            "none",
            (f"delta({v('stake_tokens')}[1d]) unless on (namespace, pod) bitagent_validator_frozen == 1", "{{pod}}"),
        ),
        graph("Stake", "", "none", (read("stake_tokens"), "{{pod}}")),
        graph("Coldkey", "Free balance, which pays the fees.", "none", (read("coldkey_balance_tokens"), "{{pod}}")),
        dashboard.Row("Rounds and chain"),
        graph(
            "Epochs behind",
            "Between the latest round of a competition and the present epoch.",
            "none",
            (v("rounds_behind_epochs"), "{{pod}} {{competition}}"),
            limits=(1, 2),
        ),
        graph("Age of the newest block", "", "s", (read("chain_age_seconds"), "{{pod}}"), limits=(60, 300)),
        graph(
            "Parts of passes that failed in an hour",
            "",
            "none",
            (f"{hourly('part_failures_total', 'pod, part')} > 0", "{{pod}} {{part}}"),
        ),
        graph("Connections lost in an hour", "", "none", (hourly("chain_reconnects_total", "pod"), "{{pod}}")),
        graph(
            "Models of discovery deleted in a day",
            "By reason: the hotkey lost its slot, or submits another model or none.",
            "none",
            (grown(v("models_deleted_total"), "pod, reason", hours=24), "{{pod}} {{reason}}"),
        ),
        graph(
            "Models discovered, commitments ignored",
            "With discovery by commitments.",
            "none",
            (v("discovered_models"), "{{pod}} models"),
            (v("ignored_commitments"), "{{pod}} {{reason}}"),
        ),
    ]
    return filled(made.with_variable(variable("pod", "bitagent_validator_lease_held", several=True)), panels)


def one_round() -> dashboard.Dashboard:
    """Return the dashboard of one round: how far it is, and where its time went."""

    def r(metric: str, by: str = "round") -> str:
        return f"max by ({by}) (bitagent_round_{metric}{ROUND})"

    held, generating, phases = r("gpu_held_seconds"), r("gpu_generating_seconds"), r("evaluation_seconds", "phase")
    ended = f'bitagent_operator_work_ended_total{{{NS}, component="evaluate"}}'
    made = board("round", "bitagent / round", "How far a round is, and where its time went.")
    panels = [
        number("Phase", "", "name", (f"{r('phase', 'phase')} == 1", "{{phase}}")),
        number("Started", "", "dateTimeFromNow", (f"1000 * {r('start_timestamp_seconds')}", "")),
        number("Done", "Share of the evaluations, while it runs.", "percentunit", (r("done_ratio"), "")),
        number("GPU time held", "Seconds times GPUs.", "s", (held, "")),
        number("GPU time that generated", "Of the results that have a score.", "s", (generating, "")),
        number("Generated, of the time held", "", "percentunit", (f"{generating} / {held}", "")),
        dashboard.Row("Where the time went"),
        bars(
            "All evaluations together",
            "Waiting: no GPU was held. Idle: held, and in no other phase.",
            "s",
            (phases, "{{phase}}"),
        ),
        matrix(
            "By model",
            "The models that took longest; of rounds that have not ended and the latest that have.",
            "s",
            r("model_evaluation_seconds", "model, phase"),
            row="model",
            column="phase",
            width=16,
        ),
        graph("As it grew", "By phase.", "s", (phases, "{{phase}}"), stacked=True),
        graph("GPU time", "", "s", (held, "held"), (generating, "generated")),
        graph("Evaluations done", "", "percentunit", (r("done_ratio"), "{{round}}")),
        graph(
            "Tokens generated per second",
            "By the evaluations that run, together.",
            "none",
            (r("generated_tokens_per_second"), "{{round}}"),
        ),
        graph(
            "Tokens generated in all",
            "As the evaluations said while they ran, since the operator started.",
            "none",
            (f"sum by (round) (bitagent_operator_generated_tokens_total{ROUND})", "{{round}}"),
        ),
        dashboard.Row("All rounds of the namespace"),
        graph(
            "Models in unfinished rounds",
            "By state.",
            "none",
            (f"max by (state) (bitagent_round_results{{{NS}}})", "{{state}}"),
            stacked=True,
        ),
        graph(
            "Progress",
            "Share that is done, of each round that runs.",
            "percentunit",
            (f"max by (round) (bitagent_round_done_ratio{{{NS}}})", "{{round}}"),
        ),
        graph(
            "Evaluations that ended in an hour",
            "By reason.",
            "none",
            (f"{grown(ended, 'reason')} > 0", "{{reason}}"),
            stacked=True,
        ),
    ]
    return filled(made.with_variable(variable("round", "bitagent_round_phase", several=False)), panels)


def cluster() -> dashboard.Dashboard:
    """Return the dashboard of the machines' work: GPU time, queue, volumes, and the operator itself."""

    def o(metric: str, more: str = "") -> str:
        return f"bitagent_operator_{metric}{{{NS}{more}}}"

    def hourly(metric: str, by: str, more: str = "") -> str:
        return grown(o(metric, more), by)

    def objects(metric: str, by: str) -> str:
        return f"max by ({by}) (bitagent_{metric}{{{NS}}})"

    held, generating = (objects(f"round_gpu_{each}_seconds", "namespace, round") for each in ("held", "generating"))
    phase = "evaluation_phase_seconds"
    free, size = (
        f'kubelet_volume_stats_{each}_bytes{{{NS}, persistentvolumeclaim=~".*(model|cache|artifact).*"}}'
        for each in ("available", "capacity")
    )
    failed = f"""sum by (kind) (rate({o("reconciles_total", ', outcome="error"')}[5m]))"""
    made = board("cluster", "bitagent / cluster", "GPU time by phase, what waits and fails, volumes, the operator.")
    panels = [
        dashboard.Row("GPUs"),
        bars(
            "Time of the evaluations that ended",
            "In the range of time shown, by phase.",
            "s",
            (f"sum by (phase) (increase({o(f'{phase}_sum')}[$__range]))", "{{phase}}"),
        ),
        graph(
            "Evaluations in each phase, on average",
            "Seconds of a phase in a second, over an hour; counted when an evaluation ends.",
            "none",
            (f"sum by (phase) (rate({o(f'{phase}_sum')}[1h]))", "{{phase}}"),
            stacked=True,
        ),
        graph(
            "Duration of a phase, of 9 in 10",
            "Of the evaluations that ended in six hours.",
            "s",
            (f"histogram_quantile(0.9, sum by (phase, le) (rate({o(f'{phase}_bucket')}[6h])))", "{{phase}}"),
        ),
        graph(
            "GPU time of the rounds that exist",
            "Seconds times GPUs.",
            "s",
            (f"sum({held})", "held"),
            (f"sum({generating})", "generated"),
        ),
        graph("Generated, of the time held", "By round.", "percentunit", (f"{generating} / {held}", "{{round}}")),
        graph(
            "Tokens generated per second",
            "Of each round that has not ended, by the evaluations that run.",
            "none",
            (objects("round_generated_tokens_per_second", "namespace, round"), "{{round}}"),
            stacked=True,
        ),
        graph(
            "Pods evicted, preempted or lost with their node",
            "Of the evaluations of each round.",
            "none",
            (objects("round_disruptions", "namespace, round"), "{{round}}"),
        ),
        graph(
            "Requests for progress",
            "A mute process says nothing of how far it is.",
            "reqps",
            (f"sum by (outcome) (rate({o('progress_requests_total')}[$__rate_interval]))", "{{outcome}}"),
        ),
        dashboard.Row("Queue"),
        graph("Rounds", "By phase.", "none", (objects("rounds", "phase"), "{{phase}}"), stacked=True),
        graph(
            "Models in unfinished rounds",
            "By state.",
            "none",
            (objects("round_results", "state"), "{{state}}"),
            stacked=True,
        ),
        graph(
            "Age of the oldest unfinished round",
            "",
            "s",
            (objects("oldest_unfinished_round_age_seconds", "namespace"), "{{namespace}}"),
        ),
        graph(
            "Jobs created in an hour",
            "By component.",
            "none",
            (hourly("jobs_created_total", "component"), "{{component}}"),
            stacked=True,
        ),
        graph(
            "Work that ended in an hour",
            "Fetches, task sets and evaluations, by reason.",
            "none",
            (f"{hourly('work_ended_total', 'component, reason')} > 0", "{{component}} {{reason}}"),
            stacked=True,
        ),
        graph(
            "Jobs refused in an hour",
            "By the API server, each try.",
            "none",
            (f"{hourly('jobs_refused_total', 'component, reason')} > 0", "{{component}} {{reason}}"),
        ),
        dashboard.Row("Models and volumes"),
        graph("Models", "By state of their files.", "none", (objects("models", "state"), "{{state}}"), stacked=True),
        graph(
            "Models and volumes deleted in an hour",
            "MinerModels by anyone; volumes of single models, and models of a shared cache, to make room.",
            "none",
            (hourly("objects_deleted_total", "kind", ', kind="MinerModel"'), "{{kind}}"),
            (hourly("model_volumes_deleted_total", "namespace"), "volumes {{namespace}}"),
            (hourly("cache_evictions_total", "namespace"), "models of the cache {{namespace}}"),
        ),
        graph(
            "Fetches that ended in an hour",
            "By reason.",
            "none",
            (f"""{hourly("work_ended_total", "reason", ', component="fetch"')} > 0""", "{{reason}}"),
            stacked=True,
        ),
        graph(
            "Volumes used",
            "Claims of the cache, of models and of artifacts; the kubelet measures them.",
            "percentunit",
            (
                f"max by (namespace, persistentvolumeclaim) (1 - {free} / {size})",
                "{{namespace}} {{persistentvolumeclaim}}",
            ),
            limits=(0.8, 0.9),
        ),
        dashboard.Row("Operator"),
        graph("Acting", "Operators that hold their Lease.", "none", (f"sum({o('leader')})", "operators")),
        graph(
            "Objects left alone",
            "They cannot be read or planned.",
            "none",
            (f"max by (kind) ({o('invalid_objects')})", "{{kind}}"),
        ),
        graph(
            "Wait for a pass",
            "Of the object that has waited longest.",
            "s",
            (f"max by (namespace) ({o('queue_oldest_seconds')})", "{{namespace}}"),
            limits=(5, 30),
        ),
        graph(
            "Passes that failed, of all",
            "By kind.",
            "percentunit",
            (f"{failed} / sum by (kind) (rate({o('reconciles_total')}[5m]))", "{{kind}}"),
        ),
        graph(
            "Requests to the API server",
            "By status code; 0: no answer.",
            "reqps",
            (f"sum by (code) (rate({o('api_requests_total')}[$__rate_interval]))", "{{code}}"),
            stacked=True,
        ),
        graph(
            "Since the last full list",
            "By kind; one follows each `relistSeconds`.",
            "s",
            (f"time() - max by (kind) ({o('last_list_timestamp_seconds')})", "{{kind}}"),
        ),
        graph(
            "Memory of the operator",
            "",
            "bytes",
            (
                f"process_resident_memory_bytes{{{NS}}} and on (namespace, instance) bitagent_operator_build_info",
                "{{pod}}",
            ),
        ),
    ]
    return filled(made, panels)


BOARDS: dict[str, Callable[[], dashboard.Dashboard]] = {"fleet": fleet, "round": one_round, "cluster": cluster}
"""Functions by the names of the files."""


def filled(made: dashboard.Dashboard, panels: list[object]) -> dashboard.Dashboard:
    """Return the dashboard with panels and rows, in order."""
    for each in panels:
        made = made.with_row(each) if isinstance(each, dashboard.Row) else made.with_panel(each)
    return made


def files() -> dict[Path, str]:
    """Return path and content of every dashboard."""
    encoder = JSONEncoder(sort_keys=True, indent=1)
    return {FOLDER / f"{name}.json": encoder.encode(make().build()) + "\n" for name, make in BOARDS.items()}


def main(argv: list[str] | None = None) -> int:
    """Write or compare; return 1 when `--check` finds a difference."""
    parser = argparse.ArgumentParser(prog="dashboards", description="Writes the dashboards of the operator's chart.")
    parser.add_argument("--check", action="store_true", help="only compare")
    check, made = parser.parse_args(argv).check, files()
    if not check:
        FOLDER.mkdir(exist_ok=True)
        for path, text in made.items():
            path.write_text(text)
        return 0
    there = {path: path.read_text() for path in FOLDER.glob("*.json")}
    differing = sorted(path for path in there.keys() | made.keys() if there.get(path) != made.get(path))
    for path in differing:
        sys.stderr.write(
            f"{path.relative_to(ROOT)}: does not follow from charts/dashboards.py; run 'make dashboards'\n"
        )
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
