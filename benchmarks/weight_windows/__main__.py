"""Whether a validator's weights land in every window, once, while its node, its chain and its own process fail.

    python -m benchmarks.weight_windows [--windows N] [--seed TEXT] [--kind Plain|Sealed ...] [--out FILE]

A real etcd and kube-apiserver, the simulated chain, and `bitagent-validator run` as a process. A window begins when a
round is complete, and is hit if its row is in a block within 100 blocks (the rate limit of many subnets). Every window
has one fault, at one step of the setting. Each round first shows partial results, and every seventh one fails with
them: none of these may be paid. Of a sealed row the window also waits for the reveal. Writes weight_windows.json
beside this folder.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml
from benchmarks.weight_windows.faults import schedule
from benchmarks.weight_windows.judgement import Report, run_windows, table
from benchmarks.weight_windows.world import GROUP, Kind, until

from bitagent_crds.generate import KINDS, render
from bitagent_local.cluster.control_plane import NODELESS, control_plane


def main() -> int:
    """Run all windows, print the table and write the file; return 1 if a window was missed or anything is left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=50)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--kind", action="append", choices=list(Kind), type=Kind)
    parser.add_argument("--fault", action="append", default=[], help="only faults whose names contain this")
    parser.add_argument("--folder", type=Path, help="for logs; by default they are removed")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.with_suffix(".json"))
    options = parser.parse_args()
    kinds: list[Kind] = options.kind or list(Kind)
    with tempfile.TemporaryDirectory(prefix="windows-") as scratch, control_plane(controllers=NODELESS) as plane:
        for kind in KINDS:
            definition = yaml.safe_load(render(kind))
            plane.api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
        until(lambda: all("items" in plane.api.get(f"{GROUP}/{kind.crd.plural}") for kind in KINDS), what="the kinds")

        def one(kind: Kind) -> Report:
            faults = schedule(options.windows, random.Random(f"{options.seed} {kind}"), only=options.fault)
            folder = (options.folder or Path(scratch)) / kind
            return run_windows(plane.api, plane.kubeconfig, kind=kind, faults=faults, seed=options.seed, folder=folder)

        with ThreadPoolExecutor(len(kinds)) as pool:
            reports = list(pool.map(one, kinds))
    found = [report.as_json() for report in reports]
    options.out.write_text(json.dumps({"seed": options.seed, "subnets": found}, indent=1) + "\n")
    print(table(reports))
    for each in found:
        print({key: value for key, value in each.items() if key != "each"})
    bad = ("doubleSets", "setsFromPartialRounds", "processesLeft", "connectionsLeft")
    return int(any(e["hit"] < e["windows"] or e["connectionsAtRest"] > 1 or any(e[n] for n in bad) for e in found))


if __name__ == "__main__":
    sys.exit(main())
