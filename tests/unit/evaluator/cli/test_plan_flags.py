"""Arguments of `tasks build` for any spec: parsed by that verb, they are the spec again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bitagent_crds.alterations import Alteration
from bitagent_crds.seeds import mixed_seed, secret_digest
from bitagent_crds.tasks import Columns, DatasetSource, JsonlSource, StreamSource, Tasks, TaskSource, WandbStream
from bitagent_evaluator.cli import tasks as tasks_verb
from bitagent_evaluator.cli.plan_flags import alteration_text, build_words, columns_text, local_files
from bitagent_evaluator.cli.task_spec import alteration_of, files_of, spec_of

Obj = dict[str, Any]
DIGEST = "sha256:" + "0" * 64
BLOCK_HASH, SECRET = "0x" + "1" * 64, "2" * 64


def some(required: Obj, optional: Obj) -> st.SearchStrategy[Obj]:
    return st.fixed_dictionaries(required, optional=optional)


NAMES = st.sampled_from(
    ["q", "a.b", "messages.-1.content", "a,b", " a", "-x", 'say "a"', "x=y", "{", "ä", "it's", "--count"]
)
COLUMNS = some({"question": NAMES, "functions": NAMES, "answers": NAMES}, {"id": NAMES, "category": NAMES}) | some(
    {"messages": NAMES, "reference": NAMES}, {}
)
ROWS = some({}, {"rows": st.sampled_from(["Task", "Glaive", "BitAgent", "OpenAI", "ShareGPT"])}) | COLUMNS.map(
    lambda columns: {"rows": "Columns", "columns": columns}
)
SECRETS = st.just({"name": "bitagent-job-x", "key": "k"})


def with_rows(members: st.SearchStrategy[Obj]) -> st.SearchStrategy[Obj]:
    return st.builds(lambda own, rows: own | rows, members, ROWS)


FILES = (
    st.just({"configMap": {"name": "c", "key": "tasks.jsonl"}})
    | st.just({"volume": {"claimName": "v", "path": "a/-b c.csv"}})
    | st.just({"url": {"url": "https://x/y?a=b,c", "digest": DIGEST}})
)
HUB = some(
    {"repo": st.sampled_from(["a/b", "A.x/b-c"])},
    {
        "revision": st.sampled_from(["main", "v1", "refs/pr/1"]),
        "split": st.sampled_from(["train", "test", "-x"]),
        "config": st.sampled_from(["", "hard", "-c", "a b,c"]),
        "tokenSecretRef": SECRETS,
    },
)
WANDB = some(
    {"entity": st.just("e"), "project": st.just("-p")}, {"endpoint": st.just("http://w"), "apiKeySecretRef": SECRETS}
)
STREAM = some({}, {"newest": st.integers(1, 20000)})
STREAMS = st.builds(
    lambda where, more: where | more, some({"url": st.just("http://s/t")}, {}) | some({"wandb": WANDB}, {}), STREAM
)
SOURCES = st.builds(
    lambda source, weight: source | weight,
    st.sampled_from([["multiple"], ["simple_python", "live_relevance"]]).map(lambda of: {"bfcl": {"categories": of}})
    | with_rows(FILES).map(lambda of: {"jsonl": of})
    | with_rows(HUB).map(lambda of: {"huggingFace": of})
    | with_rows(STREAMS).map(lambda of: {"stream": of}),
    some({}, {"weight": st.integers(1, 1000)}),
)
PERCENT: Obj = {"percent": st.integers(1, 100)}
PLAIN = ["toolShuffle", "irrelevance", "functionMask", "parameterMask", "defaultValueMask", "merge"]
REWRITE = some(
    {"url": st.sampled_from(["http://r/v1", "http://r/v1?a,b"]), "model": st.sampled_from(["me/r", "a,b", " x", "-"])},
    PERCENT
    | {
        "descriptions": st.booleans(),
        "apiKeySecretRef": SECRETS,
        "minSimilarity": st.just("0.3"),
        "maxSimilarity": st.just("0.9"),
        "temperature": st.just("0.5"),
        "maxTokens": st.integers(1, 8192),
        "tries": st.integers(1, 8),
        "concurrency": st.integers(1, 256),
        "timeoutSeconds": st.integers(1, 600),
    },
)
DISTRACTORS = some({}, PERCENT | {"minimum": st.integers(1, 4), "maximum": st.integers(5, 32)})
ALTERATIONS = (
    st.builds(lambda name, of: {name: of}, st.sampled_from(PLAIN), some({}, PERCENT))
    | REWRITE.map(lambda of: {"rewrite": of})
    | DISTRACTORS.map(lambda of: {"distractorTools": of})
)
SEEDS = (
    st.sampled_from(["1", "-1", "--out", "a b", "'", "0x1"]).map(lambda seed: {"seed": seed})
    | st.just({"seedFrom": {"block": 7, "secretDigest": secret_digest(SECRET)}})
    | st.just(
        {"seedFrom": {"block": 7, "secretDigest": secret_digest(SECRET), "blockHash": BLOCK_HASH, "secret": SECRET}}
    )
)
SPECS = st.builds(
    lambda sources, count, alterations, seed: {"sources": sources, "count": count, "alterations": alterations} | seed,
    st.lists(SOURCES, min_size=1, max_size=4),
    st.integers(1, 20000),
    st.lists(ALTERATIONS, max_size=4),
    SEEDS,
)


def plain(spec: Tasks, local_seed: str) -> Obj:
    """What decides the tasks: no place of a file, no reference to a Secret, and the seed that is used."""
    wire = spec.to_wire()
    for source in wire["sources"]:
        of = next(of for kind, of in source.items() if kind != "weight")
        of.pop("configMap", None), of.pop("volume", None), of.pop("tokenSecretRef", None)
        of.get("wandb", {}).pop("apiKeySecretRef", None)
    for alteration in wire["alterations"]:
        alteration.get("rewrite", {}).pop("apiKeySecretRef", None)
    published = wire.pop("seedFrom", None) is None or spec.seed_from is None or spec.seed_from.revealed
    return wire | {"seed": spec.known_seed() if published else local_seed}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(document=SPECS)
def test_the_arguments_are_the_spec_again(document: Obj) -> None:
    spec = Tasks.model_validate(document)
    files = local_files(spec, {})
    words = build_words(spec, files=files, local_seed="-local")
    options = tasks_verb.tasks_parser().parse_args(["build", *words, "--out", "o"])
    parsed = spec_of(options)
    assert plain(parsed, "") == plain(spec, "-local")
    assert files_of(options, parsed) == files


def test_a_published_seed_is_the_mixed_one() -> None:
    seed = {"block": 7, "secretDigest": secret_digest(SECRET), "blockHash": BLOCK_HASH, "secret": SECRET}
    document = {"sources": [{"bfcl": {"categories": ["multiple"]}}], "count": 1, "seedFrom": seed}
    words = build_words(Tasks.model_validate(document), files={}, local_seed="0")
    parsed = spec_of(tasks_verb.tasks_parser().parse_args(["build", *words, "--out", "o"]))
    assert parsed.seed == mixed_seed(BLOCK_HASH, SECRET)


KNOWN: dict[type, set[str]] = {
    Tasks: {"sources", "count", "alterations", "seed", "seed_from"},
    TaskSource: {"bfcl", "jsonl", "hugging_face", "stream", "weight"},
    JsonlSource: {"config_map", "volume", "url", "rows", "columns"},
    DatasetSource: {"repo", "revision", "config", "split", "rows", "columns", "token_secret_ref"},
    StreamSource: {"url", "wandb", "newest", "rows", "columns"},
    WandbStream: {"entity", "project", "endpoint", "api_key_secret_ref"},
}


@pytest.mark.parametrize("model", KNOWN, ids=lambda model: model.__name__)
def test_every_field_of_a_source_has_an_argument(model: Any) -> None:
    """A field that is added to the contract needs one too."""
    assert set(model.model_fields) == KNOWN[model]


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"question": "q", "reference": "r"}, "question=q,reference=r"),
        ({"question": "a,b", "reference": "r"}, '{"question": "a,b", "reference": "r"}'),
    ],
)
def test_columns(columns: Obj, text: str) -> None:
    assert columns_text(Columns.model_validate(columns)) == text


@pytest.mark.parametrize(
    ("alteration", "text"),
    [
        ({"functionMask": {}}, "function-mask"),
        ({"distractorTools": {"minimum": 1}}, "distractor-tools:minimum=1"),
        (
            {"rewrite": {"url": "http://x/a,b", "model": "m"}},
            '{"rewrite": {"url": "http://x/a,b", "model": "m"}}',
        ),
    ],
)
def test_alterations(alteration: Obj, text: str) -> None:
    made = Alteration.model_validate(alteration)
    assert alteration_text(made) == text
    assert Alteration.model_validate(alteration_of(text)) == made


def test_files_have_the_names_that_the_round_gives_them() -> None:
    sources = [
        {"jsonl": {"configMap": {"name": "c", "key": "k.csv"}}},
        {"jsonl": {"volume": {"claimName": "v", "path": "a/b.json"}}},
    ]
    spec = Tasks.model_validate({"sources": sources, "count": 1, "seed": "s"})
    assert local_files(spec, {1: Path("/x")}) == {0: Path("k.csv"), 1: Path("/x")}
