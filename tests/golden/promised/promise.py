"""What v1alpha1 promises, and which changes break it: `.venv/bin/python tests/golden/promised/promise.py REASON`.

promise.json has every field of the three kinds with what may be written into it, one line each. A change that breaks a
manifest or an object which was good before fails the test, until the promise is recorded again with a reason, which is
kept in the file. Additions need none; a release records them. Decision 025 has the rules.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bitagent_crds.generate import KINDS
from bitagent_crds.schema import schema_of

PROMISE = Path(__file__).parent / "promise.json"
Facts = dict[str, Any]
Fields = dict[str, Facts]

FIXED = ("type", "format", "x-kubernetes-int-or-string", "x-kubernetes-list-type", "x-kubernetes-list-map-keys")
AT_MOST = ("maximum", "maxLength", "maxItems", "maxProperties")
AT_LEAST = ("minimum", "minLength", "minItems", "minProperties")
KEPT = (*FIXED, *AT_MOST, *AT_LEAST, "enum", "pattern", "default", "required", "x-kubernetes-preserve-unknown-fields")


def fields() -> Fields:
    """Return what the definitions say now, by path."""
    found: Fields = {}
    for kind in KINDS:
        root = schema_of(kind)
        for part in ("spec", "status"):
            found |= dict(_fields(root["properties"][part], f"{kind.crd.kind}.{part}"))
    return found


def _fields(schema: Facts, path: str) -> Iterator[tuple[str, Facts]]:
    facts = {key: schema[key] for key in KEPT if key in schema}
    if rules := sorted(rule["rule"] for rule in schema.get("x-kubernetes-validations", ())):
        facts["rules"] = rules
    yield path, facts
    for name, child in schema.get("properties", {}).items():
        yield from _fields(child, f"{path}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(schema.get(key), dict):
            yield from _fields(schema[key], path + mark)


def broken(promised: Fields, now: Fields) -> list[str]:
    """Return the changes that break what was promised; empty if there are only additions and wider bounds."""
    found = []
    for path, before in promised.items():
        if path not in now:
            if path.rpartition(".")[0] in now:
                found.append(f"{path}: removed")
            continue
        after = now[path]
        rules = [rule for rule in after.get("rules", ()) if not _about_an_addition(rule, path, promised)]
        found += [f"{path}: {what}" for what in _broken(before, after | {"rules": rules})]
    return found


def _about_an_addition(rule: str, path: str, promised: Fields) -> bool:
    """Whether a rule holds for every object without a member that was added since."""
    guard = re.match(r"!has\(self\.(\w+)\) \|\| |has\(self\.(?P<kept>[\w.]+)\) == has\(oldSelf\.(?P=kept)\) && ", rule)
    return guard is not None and f"{path}.{guard[1] or guard[2]}" not in promised


def _broken(before: Facts, after: Facts) -> Iterator[str]:
    for key in FIXED:
        if before.get(key) != after.get(key):
            yield f"{key} was {before.get(key)}, is {after.get(key)}"
    if before.get("default", ...) != after.get("default", ...):
        yield f"default was {before.get('default', 'absent')}, is {after.get('default', 'absent')}"
    for key in AT_MOST:
        if key in after and after[key] < before.get(key, float("inf")):
            yield f"{key} was {before.get(key, 'absent')}, is {after[key]}"
    for key in AT_LEAST:
        if key in after and after[key] > before.get(key, float("-inf")):
            yield f"{key} was {before.get(key, 'absent')}, is {after[key]}"
    if after.get("pattern") not in (None, before.get("pattern")):
        yield f"pattern was {before.get('pattern', 'absent')}, is {after['pattern']}"
    if "enum" in after and (gone := set(before.get("enum", ["any value"])) - set(after["enum"])):
        yield f"no longer allowed: {', '.join(sorted(gone))}"
    if added := set(after.get("required", ())) - set(before.get("required", ())):
        yield f"newly required: {', '.join(sorted(added))}"
    if rules := [rule for rule in after.get("rules", ()) if rule not in before.get("rules", ())]:
        yield f"new rule: {'; '.join(rules)}"
    if before.get("x-kubernetes-preserve-unknown-fields") and not after.get("x-kubernetes-preserve-unknown-fields"):
        yield "members of a later version are no longer kept"


def read() -> tuple[list[str], Fields]:
    """Return why the promise was broken before, and what it is."""
    content = json.loads(PROMISE.read_text())
    return content["broken"], content["fields"]


def main(arguments: list[str]) -> int:
    """Record what the definitions say now; a reason is needed if that breaks the promise."""
    reasons, promised = read() if PROMISE.exists() else ([], {})
    changes, now = broken(promised, fields()), fields()
    if changes and not arguments:
        print("\n".join(changes), "\nThese break what was promised: give a reason.", sep="", file=sys.stderr)
        return 1
    reasons += [" ".join(arguments)] if changes else []
    lines = ",\n".join(f"  {json.dumps(path)}: {json.dumps(facts)}" for path, facts in now.items())
    PROMISE.write_text(f'{{\n "broken": {json.dumps(reasons, indent=2)},\n "fields": {{\n{lines}\n }}\n}}\n')
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
