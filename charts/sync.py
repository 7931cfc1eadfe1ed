"""Writes what the charts take from the contract: `python charts/sync.py` (`--check` only compares).

- bitagent-operator/files/crds/: copies of crds/*.yaml, since a chart cannot read files outside its own folder;
- bitagent-validator/values.schema.json: the schema of Validator.spec and MinerModel.spec as JSON schema, so that `helm lint` refuses what
  the API server would refuse, and misspelt keys besides. CEL rules stay with the API server;
- the table of values in each chart's README.md: keys and defaults from values.yaml, meanings from the comments above them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
CRDS = ROOT / "crds"
COPIES = ROOT / "charts/bitagent-operator/files/crds"
CHARTS = (ROOT / "charts/bitagent-operator", ROOT / "charts/bitagent-validator")
VALIDATOR_SCHEMA = ROOT / "charts/bitagent-validator/values.schema.json"

BEGIN, END = "<!-- values: written by 'make crds' -->", "<!-- end of values -->"
DEFAULT_WIDTH = 80

Schema = dict[str, Any]


def strict(schema: Schema) -> Schema:
    """`schema` without the words that only Kubernetes knows, refusing unknown properties."""
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
    """The strict schema of `spec` in a CustomResourceDefinition's only version."""
    (version,) = yaml.safe_load(crd.read_text())["spec"]["versions"]
    return strict(version["schema"]["openAPIV3Schema"]["properties"]["spec"])


def validator_values(validator: Schema, model: Schema) -> Schema:
    """Schema of the validator chart's values: the Validator's spec, its name, the models and files that come with it."""
    object_name = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}
    labels = {"type": "object", "additionalProperties": {"type": "string"}}
    properties = {
        "global": {"type": "object", "description": "Helm's own, for charts that contain this one."},
        "name": {"type": "string", "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$", "maxLength": 24},
        **validator["properties"],
        "labels": labels,
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
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of bitagent-validator",
        "description": "Generated from crds/ by 'make crds'.",
        "type": "object",
        "required": validator["required"],
        "additionalProperties": False,
        "properties": properties,
    }


def rows(
    node: yaml.MappingNode, values: dict[str, Any], lines: list[str], prefix: str = ""
) -> Iterator[tuple[str, str, str]]:
    """Key, default as JSON and meaning of every value. A mapping written in one line is one value.

    Raises:
        ValueError: a value has no comment.
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


def table(chart: Path) -> str:
    """The chart's values as a Markdown table; a long default is left to values.yaml."""
    text = (chart / "values.yaml").read_text()
    root = yaml.compose(text)
    if not isinstance(root, yaml.MappingNode):
        raise ValueError(f"{chart}/values.yaml is not a mapping")
    head = "| value | default | meaning |\n|---|---|---|\n"
    return head + "".join(
        f"| `{name}` | {f'`{default}`' if len(default) <= DEFAULT_WIDTH else 'see values.yaml'} | {meaning} |\n"
        for name, default, meaning in rows(root, yaml.safe_load(text), text.splitlines())
    )


def readme(chart: Path) -> str:
    """The chart's README.md with a fresh table."""
    before, _, rest = (chart / "README.md").read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table(chart)}\n{END}{after}"


def files() -> dict[Path, str]:
    """Every generated file with its content."""
    schema = validator_values(
        spec_of(CRDS / "bitagent.io_validators.yaml"), spec_of(CRDS / "bitagent.io_minermodels.yaml")
    )
    copies = {COPIES / path.name: path.read_text() for path in sorted(CRDS.glob("*.yaml"))}
    readmes = {chart / "README.md": readme(chart) for chart in CHARTS}
    return {**copies, **readmes, VALIDATOR_SCHEMA: json.dumps(schema, indent=2) + "\n"}


def main(argv: list[str] | None = None) -> int:
    """Write or compare; returns 1 when `--check` finds a difference or a copy of a definition that is gone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args(argv)
    wanted = files()
    extra = set(COPIES.glob("*")) - set(wanted)
    if args.check:
        differing = {path for path, text in wanted.items() if not path.exists() or path.read_text() != text} | extra
        for path in sorted(differing):
            sys.stderr.write(
                f"{path.relative_to(ROOT)}: does not follow from its sources; run 'make crds' and commit\n"
            )
        return 1 if differing else 0
    for path in extra:
        path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
