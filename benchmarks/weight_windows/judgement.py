"""What happened in each window, and whether it is as it has to be."""

from __future__ import annotations

import math
import os
import random
import signal
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.weight_windows.faults import FAULTS, Fault, Step
from benchmarks.weight_windows.world import MINERS, Kind, Obj, Run, serving_chain, until

from bitagent_local.chain import keys
from bitagent_local.cluster.api import Api

WINDOW_BLOCKS = 100
QUIET_BLOCKS = 8
"""After a row has landed: a second setting of it would come within these."""
PARTIAL_EVERY = 7


@dataclass
class Window:
    """What happened in one window."""

    number: int
    fault: str
    step: str
    partial: bool
    blocks: int | None = None
    """From the complete round to the block of the setting; None: not at all."""
    revealed: int | None = None
    """To the block of the reveal."""
    settings: int = 0
    dropped: int = 0
    """Sealed rows that the chain dropped at their reveal; each has to be sent again."""
    from_partial: int = 0
    connections: int = 0
    """To the chain at its end."""
    seconds: float = 0.0

    @property
    def hit(self) -> bool:
        """Whether the weights are as they have to be."""
        if self.partial:
            return not self.settings and not self.from_partial
        return self.blocks is not None and self.blocks <= WINDOW_BLOCKS

    @property
    def double(self) -> int:
        """Settings beyond the one that is due."""
        return max(0, self.settings - self.dropped - (0 if self.partial else 1))


@dataclass
class Report:
    """All windows of one subnet, and what is left of the process at the end."""

    kind: Kind
    windows: list[Window] = field(default_factory=list)
    starts: int = 0
    descriptors: list[int] = field(default_factory=list)
    """Open files of the process at rest after each window, of its present life."""
    connections: int = 0
    """To the chain at the end, with the validator alive."""
    left: int = 0
    """Processes that are left after the validator's end."""
    left_connections: int = 0

    def as_json(self) -> Obj:
        """Return it for the file."""
        hit = [w for w in self.windows if w.blocks is not None]
        return {
            "kind": self.kind,
            "windows": len(self.windows),
            "hit": sum(w.hit for w in self.windows),
            "doubleSets": sum(w.double for w in self.windows),
            "setsFromPartialRounds": sum(w.from_partial for w in self.windows),
            "droppedReveals": sum(w.dropped for w in self.windows),
            "blocks": {"median": statistics.median([w.blocks or 0 for w in hit] or [0]), "most": most(hit)},
            "starts": self.starts,
            "openFilesAtRest": sorted(set(self.descriptors)),
            "connectionsAtRest": self.connections,
            "processesLeft": self.left,
            "connectionsLeft": self.left_connections,
            "each": [asdict(w) | {"hit": w.hit} for w in self.windows],
        }


def most(windows: Sequence[Window]) -> int:
    """Return the most blocks that a window took."""
    return max((w.blocks or 0 for w in windows), default=0)


def expected(scores: dict[str, str]) -> dict[str, int]:
    """Return the row that the BitAgent policy gives, as the chain stores it."""
    raised = {keys.address(f"//{name}"): math.exp(5 * float(score)) - 1 for name, score in scores.items()}
    return {hotkey: round(value / max(raised.values()) * 65535) for hotkey, value in raised.items() if value}


def same(row: dict[str, int], other: dict[str, int]) -> bool:
    """Whether two rows are one, up to the last bit."""
    return row.keys() == other.keys() and all(abs(row[key] - other[key]) <= 1 for key in row)


def window(run: Run, number: int, fault: Fault, step: Step, before: str, *, partial: bool) -> tuple[Window, str]:
    """Run one window; return what happened, and the name of its round."""
    began, chain = time.monotonic(), run.chain
    # What is left of earlier faults, on the node that was not asked, belongs to their windows.
    chain.everywhere(clear=True)
    round_ = run.round(before)
    name = str(round_["metadata"]["name"])
    scores = {miner: f"{run.random.uniform(0.1, 0.9):.6f}" for miner in MINERS}
    incomplete = {"d": "0.950000", "a": "0.900000"}
    last, seen = run.row()[1], chain.state()["block"]
    done = Window(number, fault.name, step, partial)
    run.write(round_, incomplete)
    if partial:
        run.write(round_, incomplete, "Failed")
        fault.happen(run)
        until(lambda: chain.state()["block"] >= seen + 2 * QUIET_BLOCKS, what="blocks")
    else:
        seen = land(run, round_, scores, fault, step, done)
    settings = chain.settings(seen)
    done.settings = len(settings)
    row = run.row()[1]
    done.from_partial = int(same(row, expected(incomplete)) or (partial and not same(row, last)))
    done.connections = chain.state()["connections"]
    done.seconds = round(time.monotonic() - began, 1)
    return done, name


def land(run: Run, round_: Obj, scores: dict[str, str], fault: Fault, step: Step, done: Window) -> int:
    """Complete a round, have the fault happen, and wait until the row has landed; return the block of the beginning."""
    chain, row = run.chain, expected(scores)
    hold = {Step.POOL: "stall_blocks", Step.BLOCK: "stall_finality"}.get(step)
    seen = int(chain.state()["block"])
    run.write(round_, scores, "Complete")
    if hold is not None and step is Step.BLOCK:
        chain.post("faults", **{hold: True})
    try:
        reach(run, step, seen)
    except TimeoutError as error:
        print(f"  window {done.number}: {error}; the fault happens all the same", file=sys.stderr)
    fault.happen(run)
    if hold:
        chain.post("faults", **{hold: False})

    def landed() -> bool:
        run.alive()
        return same(run.row()[1], row)

    try:
        until(landed, what="the row is on the chain")
        until(lambda: condition(run) == "WeightsSet", what="the validator says so")
    except TimeoutError as error:
        print(
            f"  window {done.number} ({done.fault}, {done.step}): {error}; {condition(run)}, {run.row()}, {row}",
            file=sys.stderr,
        )
    at = int(chain.state()["block"])
    until(lambda: chain.state()["block"] >= at + QUIET_BLOCKS, what="blocks")
    found = chain.settings(seen)
    if found and same(run.row()[1], row):
        done.blocks = found[0]["block"] - seen
    if run.kind is Kind.SEALED:
        outcomes = [o for o in chain.state()["reveals"] if o["committed_at"] > seen and o["mechanism"] == 0]
        done.dropped = sum(1 for o in outcomes if o["dropped"])
        done.revealed = next((o["block"] - seen for o in outcomes if not o["dropped"]), None)
        if done.dropped and found:
            done.blocks = found[-1]["block"] - seen
    return seen


def reach(run: Run, step: Step, seen: int) -> None:
    """Wait until a setting has come to a step. Raises TimeoutError."""
    chain = run.chain
    if step in (Step.PENDING, Step.POOL):
        until(run.pending, what="the row is recorded", seconds=20)
    if step is Step.POOL:
        chain.post("faults", stall_blocks=True)
        until(lambda: chain.state()["pool"] or chain.settings(seen), what="the transaction is in the pool", seconds=8)
    elif step is Step.BLOCK:
        until(lambda: chain.settings(seen), what="the transaction is in a block", seconds=8)
    elif step is Step.FINAL:
        until(
            lambda: (s := chain.settings(seen)) and chain.state()["finalized"] >= s[0]["block"],
            what="the transaction is final",
            seconds=20,
        )


def condition(run: Run) -> str:
    """Return the reason of WeightsCurrent."""
    conditions = run.api.get(run.at("validators", "val")).get("status", {}).get("conditions", [])
    return next((str(c["reason"]) for c in conditions if c["type"] == "WeightsCurrent"), "")


def run_windows(
    api: Api, kubeconfig: Path, *, kind: Kind, faults: Sequence[tuple[Fault, Step]], seed: str, folder: Path
) -> Report:
    """Run windows with these faults on a subnet of one kind."""
    report = Report(kind)
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        chain = stack.enter_context(serving_chain(folder, kind))
        namespace = f"windows-{kind.lower()}-{os.getpid()}"
        run = Run(api, chain, namespace, folder, kubeconfig, kind, random.Random(f"{seed} {kind}"))
        run.begin()
        try:
            name = ""
            for number, (fault, step) in enumerate(faults, 1):
                partial = number % PARTIAL_EVERY == 0
                done, name = window(run, number, fault, step, name, partial=partial)
                report.windows.append(done)
                run.at_rest.append(run.open_files())
                print(as_line(kind, done), flush=True)
            finish(run, report)
        finally:
            run.lent.shutdown()
            if run.process is not None:
                run.process.kill()
                run.process.wait()
    return report


def finish(run: Run, report: Report) -> None:
    """Count what the validator has open at rest, and what is left after its end."""
    assert run.process is not None
    run.lent.shutdown()
    run.chain.everywhere(clear=True)
    until(lambda: not run.submissions_left(), what="no submission runs")
    settled(lambda: run.chain.state()["connections"] <= 1)
    report.connections = run.chain.state()["connections"]
    run.at_rest.append(run.open_files())
    report.starts, report.descriptors = run.starts, list(run.at_rest)
    run.process.send_signal(signal.SIGTERM)
    run.process.wait(30)
    report.left = run.submissions_left()
    settled(lambda: not run.chain.state()["connections"])
    report.left_connections = run.chain.state()["connections"]


def settled(probe: Callable[[], bool]) -> None:
    """Wait until a probe is true, or for twenty seconds: what is measured afterwards is reported, whatever it is."""
    with suppress(TimeoutError):
        until(probe, what="rest", seconds=20)


def as_line(kind: Kind, done: Window) -> str:
    """Return one window for a terminal."""
    fate = "failed round" if done.partial else f"{done.blocks} blocks"
    sealed = f", revealed after {done.revealed}" if kind is Kind.SEALED and not done.partial else ""
    mark = "✓" if done.hit and not done.double and not done.from_partial else "✗"
    cost = f"{done.seconds:g} s, {done.connections} connections"
    return f"{mark} {kind:<6} {done.number:>3}  {done.fault:<24} {done.step:<15} {fate}{sealed} ({cost})"


def table(reports: Sequence[Report]) -> str:
    """Return what each fault cost, as a table of Markdown."""
    lines = [
        "| fault | subnet | windows | hit | blocks until set: median, most | double sets |",
        "|---|---|---|---|---|---|",
    ]
    for report in reports:
        paid = [w for w in report.windows if not w.partial]
        for fault in dict.fromkeys(f.name for f in FAULTS):
            own = [w for w in paid if w.fault == fault]
            if own:
                blocks = [w.blocks or 0 for w in own]
                hit, double = sum(w.hit for w in own), sum(w.double for w in own)
                cells = (len(own), hit, f"{statistics.median(blocks):g}, {max(blocks)}", double)
                lines.append(f"| {fault} | {report.kind} | " + " | ".join(map(str, cells)) + " |")
        failed = [w for w in report.windows if w.partial]
        if failed:
            sets = sum(w.settings + w.from_partial for w in failed)
            lines.append(
                f"| round failed with partial results | {report.kind} | {len(failed)} | none due | - | {sets} |"
            )
    return "\n".join(lines)
