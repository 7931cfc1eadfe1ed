"""Random objects from the schemas that the API server gets, for property tests.

What a CEL rule says beyond the schema is repaired where an operator's plan depends on it; the types check the rest.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache
from random import Random
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from bitagent_crds.conditions import ConditionType, Reason
from bitagent_crds.evalround import RoundPhase
from bitagent_crds.model_result import ResultState
from bitagent_crds.policies import Standing
from bitagent_crds.schema import Resource, manifest

Schema = dict[str, Any]
ASCII = st.characters(min_codepoint=33, max_codepoint=126)
LATER_MEMBERS = st.dictionaries(
    st.sampled_from(["laterMember", "another"]),
    st.one_of(st.booleans(), st.integers(0, 9), st.just("text"), st.just({"deep": [1, {"er": "x"}]})),
    max_size=1,
)
LATER_VALUES = ["NeverHeardOf", "AddedByALaterVersion"]
AWKWARD = ["", "a..b", "-a", "a/b", "..", ".", "a b", "A", "a,b", "!x", "$(x)", "a=b", "b" * 64, "c" * 300, "é", "a\n"]
"""Texts that a field may take or not; a definition must not take what Kubernetes refuses later."""
OPEN: Mapping[str, type[StrEnum]] = {"reason": Reason, "type": ConditionType, "state": ResultState, "phase": RoundPhase}
"""Enumerations that a definition leaves open, by the name of their fields."""


def examples(few: int) -> settings:
    """Return the settings for so many examples; `make fuzz` tries twenty times as many."""
    return settings(max_examples=few * 20 if os.environ.get("HYPOTHESIS_PROFILE") == "fuzz" else few)


@cache
def part(resource: type[Resource], name: str, *, later: bool = False, awkward: bool = False) -> SearchStrategy[Any]:
    """Specs or statuses of a kind.

    With `later` also with members and values that this version does not know. With `awkward` some texts and keys are
    replaced by others, which the definition may refuse.
    """
    root = manifest(resource)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    made = _instances(root["properties"][name], name, later=later)
    return st.builds(_awkward, made, st.randoms(use_true_random=False)) if awkward else made


def _awkward(value: Any, rng: Random) -> Any:
    """Replace one text or one key of labels, or none."""
    places = list(_places(value))
    if not places or rng.random() < 0.2:
        return value
    place, text = rng.choice(places), rng.choice(AWKWARD)
    return _replaced(value, place, text)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the paths of texts; that of a key ends with None."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _places(each, (*path, index))
    elif isinstance(value, dict):
        labels = path and path[-1] in ("matchLabels", "nodeSelector")
        for key, each in value.items():
            yield from _places(each, (*path, key))
            if labels:
                yield (*path, key, None)


def _replaced(value: Any, path: tuple[Any, ...], text: str) -> Any:
    if not path:
        return text
    if len(path) == 2 and path[1] is None:
        return {text if key == path[0] else key: each for key, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, path[1:], text) if i == path[0] else each for i, each in enumerate(value)]
    return value | {path[0]: _replaced(value[path[0]], path[1:], text)}


def _instances(schema: Schema, name: str, *, later: bool) -> SearchStrategy[Any]:
    if enum := schema.get("enum"):
        return st.sampled_from(enum)
    if schema.get("x-kubernetes-int-or-string"):
        return st.one_of(st.integers(0, 9), st.just("1"))
    match schema.get("type"):
        case "boolean":
            return st.booleans()
        case "integer":
            low, high = schema.get("minimum", 0), schema.get("maximum", 2**53)
            return st.one_of(st.sampled_from([low, high]), st.integers(low, min(high, low + 1000)))
        case "string":
            return _strings(schema, name, later=later)
        case "array":
            return _lists(schema, name, later=later)
        case _:
            return _objects(schema, name, later=later)


def _strings(schema: Schema, name: str, *, later: bool) -> SearchStrategy[str]:
    if schema.get("format") == "date-time":
        return st.datetimes().map(lambda t: t.strftime("20%y-%m-%dT%H:%M:%SZ"))
    longest, pattern = schema.get("maxLength", 64), schema.get("pattern")
    if pattern == r"^[A-Z][A-Za-z0-9]*$" and name in OPEN:
        known = Standing if name == "reason" and "earns nothing" in schema.get("description", "") else OPEN[name]
        return st.sampled_from([*map(str, known), *(LATER_VALUES if later else ())])
    if pattern is None:
        return st.text(ASCII, min_size=schema.get("minLength", 0), max_size=min(longest, 12))
    return _matching(pattern).filter(lambda text: schema.get("minLength", 0) <= len(text) <= longest)


@cache
def _matching(pattern: str) -> SearchStrategy[str]:
    return st.from_regex(re.compile(pattern.removeprefix("^").removesuffix("$")), fullmatch=True, alphabet=ASCII)


def _lists(schema: Schema, name: str, *, later: bool) -> SearchStrategy[list[Any]]:
    items = _instances(schema["items"], name, later=later)
    keys = schema.get("x-kubernetes-list-map-keys", ())
    bounds = {"min_size": schema.get("minItems", 0), "max_size": min(schema.get("maxItems", 3), 3)}
    if keys:
        return st.lists(items, unique_by=lambda item: tuple(str(item.get(key)) for key in keys), **bounds)
    return st.lists(items, unique=schema.get("x-kubernetes-list-type") == "set", **bounds)


def _objects(schema: Schema, name: str, *, later: bool) -> SearchStrategy[Any]:
    if "additionalProperties" in schema:
        values = _instances(schema["additionalProperties"], name, later=later)
        rule = " ".join(r["rule"] for r in schema.get("x-kubernetes-validations", ()))
        found = re.search(r"matches\('([^']*)'\)", rule)
        keys = _matching(found[1]).filter(lambda key: len(key) <= 253) if found else st.text(ASCII, max_size=8)
        return st.dictionaries(keys, values, max_size=min(schema.get("maxProperties", 3), 3))
    members = {k: _instances(v, k, later=later) for k, v in schema.get("properties", {}).items()}
    required = set(schema.get("required", ()))
    rules = [r["rule"] for r in schema.get("x-kubernetes-validations", ())]
    one_of = [re.findall(r"has\(self\.(\w+)\)", r) for r in rules if "exists_one" in r]
    chosen = {member for members_ in one_of for member in members_}
    fixed = {k: v for k, v in members.items() if k in required}
    optional = {k: v for k, v in members.items() if k not in required | chosen}
    made: SearchStrategy[Any] = st.fixed_dictionaries(fixed, optional=optional)
    for group in one_of:
        one = st.one_of(*(st.fixed_dictionaries({member: members[member]}) for member in group))
        made = st.tuples(made, one).map(lambda pair: pair[0] | pair[1])
    if later and schema.get("x-kubernetes-preserve-unknown-fields"):
        made = st.tuples(made, LATER_MEMBERS).map(lambda pair: pair[1] | pair[0])
    return made.map(lambda value: _repaired(value, rules))


def _repaired(value: Schema, rules: list[str]) -> Schema:
    """Make an object obey the rules that most random objects break."""
    text = " ".join(rules)
    if "self.rows == 'Columns'" in text and ("columns" in value) != (value.get("rows") == "Columns"):
        value = {k: v for k, v in value.items() if k not in ("columns", "rows")}
    if "has(self.answers) || has(self.reference)" in text:
        value = {k: v for k, v in value.items() if k not in ("answers", "functions")} | {"reference": "text"}
    if "has(self.minimum)" in text:
        value = {k: v for k, v in value.items() if k not in ("minimum", "maximum")}
    if "self.scorer == 'Loss'" in text and value.get("scorer") != "Loss":
        value = {k: v for k, v in value.items() if k != "loss"}
    if "self.policyParameters.plugin" in text:
        value = {k: v for k, v in value.items() if k not in ("policyParameters", "policy", "rewardShare")}
    if "rewardShare).sum() == 100" in text:
        value = value | {"competitions": value["competitions"][:1]}
        if "rewriter" not in value:
            tasks = [competition["round"]["tasks"] for competition in value["competitions"]]
            for each in [a for t in tasks for a in t.get("alterations", ())]:
                if "rewrite" in each and "url" not in each["rewrite"]:
                    each["rewrite"] |= {"url": "http://0/v1", "model": "0"}
    if "has(self.url) == has(self.model)" in text and ("url" in value) != ("model" in value):
        value = {k: v for k, v in value.items() if k not in ("url", "model")}
    if "has(self.url) || !has(self.apiKeySecretRef)" in text and "url" not in value:
        value = {k: v for k, v in value.items() if k != "apiKeySecretRef"}
    if "startsWith('bitagent-job-')" in text:
        bare = value["name"].removeprefix("bitagent-job-")[-200:]
        return value | {"name": f"hotkey-{bare}" if "!self.name" in text else f"bitagent-job-{bare}"}
    if "self.operator != 'Exists'" in text:
        if not value.get("key"):
            value |= {"operator": "Exists"}
        if value.get("operator") == "Exists":
            value.pop("value", None)
    return value
