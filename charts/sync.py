"""Write what the charts derive from the contract and from their values: `python charts/sync.py`.

- bitagent-validator/values.schema.json: the schemas of Validator.spec and MinerModel.spec as JSON schema, so that
  `helm lint` rejects what the API server would reject, and misspelt keys too. CEL rules remain with the API server.
- the table of values in each chart's README.md: keys and defaults from values.yaml, meanings from the comments above
  them.
- files/defaults.yaml of the charts for operator and miner: the defaults again, for values that an older release lacks.
- docs/alerts.md: the alert rules of bitagent-operator/files/alerts.yaml, one heading each.

With `--check` it only compares.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import textwrap
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
OPERATOR, VALIDATOR, MINER = (ROOT / "charts" / f"bitagent-{name}" for name in ("operator", "validator", "miner"))
CHARTS = (OPERATOR, VALIDATOR, MINER)
CRDS = OPERATOR / "files/crds"
"""The CustomResourceDefinitions; `python -m bitagent_crds.generate` writes them, and has to run first."""
ALERTS = OPERATOR / "files/alerts.yaml"
ALERTS_PAGE = ROOT / "docs/alerts.md"
VALIDATOR_SCHEMA = VALIDATOR / "values.schema.json"

NULLABLE = frozenset({"securityContext"})
"""Sections with a member that null changes: to Helm a member that is null is missing, so its default does not come back
unless the whole section is missing."""
DEFAULTS_HEAD = """\
# Written from values.yaml by 'make crds'; do not edit. The default of each value, for those that Helm leaves
# out: after `helm upgrade --reuse-values` from a release whose chart did not have them.
"""

BEGIN, END = "<!-- values: written by 'make crds' -->", "<!-- end of values -->"
DEFAULT_WIDTH = 80

Schema = dict[str, Any]


def strict(schema: Schema) -> Schema:
    """Return `schema` without Kubernetes extensions, rejecting unknown properties."""
    kept = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes-")}
    if "properties" in kept:
        kept["properties"] = {name: strict(member) for name, member in kept["properties"].items()}
        kept["additionalProperties"] = False
    elif isinstance(kept.get("additionalProperties"), dict):
        kept["additionalProperties"] = strict(kept["additionalProperties"])
    if "items" in kept:
        kept["items"] = strict(kept["items"])
    return kept


def spec_of(crd: Path) -> Schema:
    """Return the strict schema of `spec` in a CustomResourceDefinition's only version."""
    (version,) = yaml.safe_load(crd.read_text())["spec"]["versions"]
    return strict(version["schema"]["openAPIV3Schema"]["properties"]["spec"])


def changes_of(spec: Schema) -> Schema:
    """Return the schema of what one of several Validators changes of their common spec: members may be left out.

    A competition needs its id, by which it has a base. null removes a member; what then is missing the API server says.
    """
    competitions = spec["properties"]["competitions"]
    relaxed = {**_optional(competitions["items"]), "required": ["id"]}
    changes = _optional({**spec, "properties": {k: v for k, v in spec["properties"].items() if k != "competitions"}})
    changes["properties"]["competitions"] = {**competitions, "items": relaxed}
    return changes


def _optional(schema: Schema) -> Schema:
    """Return the schema of an object with members that may be left out or null, and so on in those that are objects."""
    kept = {key: value for key, value in schema.items() if key not in ("required", "minProperties", "oneOf", "anyOf")}
    if "properties" in kept:
        kept["properties"] = {
            name: _nullable(_optional(member)) if member.get("type") == "object" else _nullable(member)
            for name, member in kept["properties"].items()
        }
    return kept


def _nullable(schema: Schema) -> Schema:
    if not isinstance(schema.get("type"), str):
        return {"anyOf": [{"type": "null"}, schema]}
    values = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, "type": [schema["type"], "null"], **values}


def validator_values(validator: Schema, model: Schema) -> Schema:
    """Return the schema of the validator chart's values: the Validator's spec, several of them, models, task files."""
    object_name = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}
    labels = {"type": "object", "additionalProperties": {"type": "string"}}
    changes = changes_of(validator)
    changes["properties"] |= {"labels": labels, "annotations": labels}
    properties = {
        "global": {"type": "object", "description": "Helm's own, for charts that contain this one."},
        "name": {"type": "string", "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$", "maxLength": 24},
        **validator["properties"],
        "labels": labels,
        "annotations": labels,
        "models": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", *model["required"]],
                "additionalProperties": False,
                "properties": {"name": {**object_name, "maxLength": 52}, "labels": labels, **model["properties"]},
            },
        },
        "taskFiles": {
            "type": "object",
            "propertyNames": {"pattern": "^[-._a-zA-Z0-9]+$"},
            "additionalProperties": {"type": "string"},
        },
        "validators": {
            "type": "object",
            "propertyNames": {"pattern": object_name["pattern"], "maxLength": 24},
            "additionalProperties": _nullable(changes),
        },
        "extraObjects": {"type": "array", "items": {"type": ["object", "string"]}},
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of bitagent-validator",
        "description": "Generated from crds/bitagent_crds by 'make crds'.",
        "type": "object",
        "required": validator["required"],
        "additionalProperties": False,
        "properties": properties,
    }


def rows(
    node: yaml.MappingNode, values: dict[str, Any], lines: list[str], prefix: str = ""
) -> Iterator[tuple[str, str, str]]:
    """Yield key, default as JSON and meaning of every value; a mapping written in one line is one value.

    Raises ValueError if a value has no comment.
    """
    for key, member in node.value:
        name, value = f"{prefix}{key.value}", values[key.value]
        if isinstance(member, yaml.MappingNode) and not member.flow_style:
            yield from rows(member, value, lines, f"{name}.")
            continue
        comment = list(
            takewhile(lambda line: line.startswith("#"), map(str.strip, reversed(lines[: key.start_mark.line])))
        )
        if not comment:
            raise ValueError(f"{name} has no comment above it")
        yield name, json.dumps(value), " ".join(line.removeprefix("#").strip() for line in reversed(comment))


def values_of(chart: Path) -> list[tuple[str, str, str]]:
    """Return the rows of a chart's values.yaml."""
    text = (chart / "values.yaml").read_text()
    root = yaml.compose(text)
    if not isinstance(root, yaml.MappingNode):
        raise ValueError(f"{chart}/values.yaml is not a mapping")
    return list(rows(root, yaml.safe_load(text), text.splitlines()))


def table(chart: Path) -> str:
    """Return the chart's values as a Markdown table; for a long default it refers to values.yaml."""
    head = "| value | default | meaning |\n|---|---|---|\n"
    return head + "".join(
        f"| `{name}` | {f'`{default}`' if len(default) <= DEFAULT_WIDTH else 'see values.yaml'} | {meaning} |\n"
        for name, default, meaning in values_of(chart)
    )


def defaults(chart: Path) -> str:
    """Return the chart's files/defaults.yaml: the path of each value, and its default as JSON."""
    values = yaml.safe_load((chart / "values.yaml").read_text())
    whole = {name: json.dumps(value) for name, value in values.items() if name in NULLABLE}
    single = {name: default for name, default, _ in values_of(chart) if name.partition(".")[0] not in NULLABLE}
    return DEFAULTS_HEAD + "".join(f"{name}: {default}\n" for name, default in (single | whole).items())


def readme(chart: Path) -> str:
    """Return the chart's README.md with a current table."""
    before, _, rest = (chart / "README.md").read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table(chart)}\n{END}{after}"


ALERTS_HEAD = """# Alerts

Written from `charts/bitagent-operator/files/alerts.yaml` by `make crds`; do not edit. The operator's chart installs
these rules with `metrics.prometheusRule.enabled`. For whoever is on call: what each means, and what to do. The
[runbook](runbook.md) has the reasons that conditions name, [metrics.md](metrics.md) the metrics.

**critical**: look now, pay is at stake or nothing moves. **warning**: look today. **info**: look when there is time.
"""
_FIELD = re.compile(r"\{\{ \$labels\.(\w+) \}\}")
_VALUE = re.compile(r"\{\{ \$value[^}]*\}\}")


def alerts_page(rules: dict[str, Any]) -> str:
    """Return docs/alerts.md: a heading for each alert, which `runbook_url` names."""
    text = ALERTS_HEAD
    for group in rules["groups"]:
        text += f"\n## {group['name'].removeprefix('bitagent-').capitalize()}\n"
        for rule in group["rules"]:
            notes = rule["annotations"]
            lasting = f", after {rule['for']}" if "for" in rule else ""
            title = _VALUE.sub("N", _FIELD.sub(lambda field: field[1].upper(), notes["summary"]))
            text += f"\n### {rule['alert']}\n\n{title}. **{rule['labels']['severity']}**{lasting}\n\n"
            meaning = f"{notes['description']} {notes['action']}"
            text += textwrap.fill(meaning, 118, break_long_words=False, break_on_hyphens=False) + "\n\n"
            text += "```promql\n" + rule["expr"].strip() + "\n```\n"
    return text


def files() -> dict[Path, str]:
    """Return path and content of every generated file."""
    schema = validator_values(
        spec_of(CRDS / "bitagent.io_validators.yaml"), spec_of(CRDS / "bitagent.io_minermodels.yaml")
    )
    readmes = {chart / "README.md": readme(chart) for chart in CHARTS}
    alerts = alerts_page(yaml.safe_load(ALERTS.read_text()))
    filled = {chart / "files/defaults.yaml": defaults(chart) for chart in (OPERATOR, MINER)}
    return {**readmes, **filled, VALIDATOR_SCHEMA: json.dumps(schema, indent=2) + "\n", ALERTS_PAGE: alerts}


def main(argv: list[str] | None = None) -> int:
    """Write or compare; return 1 when `--check` finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only compare")
    args = parser.parse_args(argv)
    generated = files()
    if args.check:
        differing = {path for path, text in generated.items() if not path.exists() or path.read_text() != text}
        for path in sorted(differing):
            sys.stderr.write(
                f"{path.relative_to(ROOT)}: does not follow from its sources; run 'make crds' and commit\n"
            )
        return 1 if differing else 0
    for path, text in generated.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
