"""Queries held against the metrics that operator and validators export: names, labels, and labels of legends."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser as promql

from bitagent_local.demo.queries import filled

ROOT = Path(__file__).resolve().parents[1]
TARGET = frozenset({"namespace", "pod", "instance", "job", "container", "endpoint"})
"""Labels that a Prometheus which finds the pods adds to every series."""
KUBELET = {
    f"kubelet_volume_stats_{each}_bytes": frozenset({"namespace", "persistentvolumeclaim"})
    for each in ("available", "capacity")
}
SET_OPERATIONS = ("and", "unless", "or")

Labels = frozenset[str]


@cache
def exported() -> Mapping[str, Labels]:
    """Return the labels of every series that operator, validators and the kubelet export, by its name."""
    spec = importlib.util.spec_from_file_location("metrics_page", ROOT / "scripts/metrics_page.py")
    assert spec is not None
    assert spec.loader is not None
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    found: dict[str, Labels] = dict(KUBELET)
    for _, registry in page.registries().values():
        for family, labels in page.families(registry):
            own = TARGET | frozenset(labels)
            match family.type:
                case "counter":
                    found[f"{family.name}_total"] = own
                case "info":
                    found[f"{family.name}_info"] = own
                case "histogram":
                    found |= {f"{family.name}_{part}": own for part in ("sum", "count")}
                    found[f"{family.name}_bucket"] = own | {"le"}
                case _:
                    found[family.name] = own
    return found


def problems(expr: str, legend: str = "") -> list[str]:
    """Return what is wrong with a query and its legend: names and labels that nothing exports."""
    try:
        tree = promql.parse(filled(expr))
    except ValueError as error:
        return [f"does not parse: {error}"]
    found: list[str] = []
    labels = _labels(tree, found)
    named = frozenset(re.findall(r"\{\{\s*(\w+)\s*\}\}", legend))
    return found + [f"legend names {label}, which the result has not" for label in sorted(named - labels)]


def _labels(node: Any, found: list[str]) -> Labels:
    """Return the labels of an expression's result, and add what is wrong in it to `found`."""
    match node:
        case promql.VectorSelector():
            known = exported().get(node.name)
            if known is None:
                found.append(f"{node.name} is not exported")
                return TARGET
            used = {each.name for each in node.matchers.matchers}
            found.extend(f"{node.name} has no label {label}" for label in sorted(used - known))
            return known
        case promql.MatrixSelector():
            return _labels(node.vector_selector, found)
        case promql.AggregateExpr():
            inner = _labels(node.expr, found)
            if node.modifier is None:
                return frozenset()
            named = frozenset(node.modifier.labels)
            found.extend(f"aggregates by {label}, which is not there" for label in sorted(named - inner))
            return named if str(node.modifier).startswith("by") else inner - named
        case promql.BinaryExpr():
            return _of_two(node, found)
        case promql.Call():
            inner = [_labels(each, found) for each in node.args]
            own = max(inner, key=len, default=frozenset())
            return own - {"le"} if node.func.name == "histogram_quantile" else own
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return _labels(node.expr, found)
        case _:
            return frozenset()


def _of_two(node: Any, found: list[str]) -> Labels:
    left, right = _labels(node.lhs, found), _labels(node.rhs, found)
    matching = node.modifier.matching if node.modifier is not None else None
    if matching is not None:
        on = frozenset(matching.labels)
        found.extend(f"matches on {label}, which is not on both sides" for label in sorted(on - (left & right)))
    if str(node.op) in SET_OPERATIONS or not left or not right:
        return left | right if str(node.op) == "or" or not left else left
    return frozenset(matching.labels) if matching is not None else left & right
