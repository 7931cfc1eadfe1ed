"""The configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bitagent_operator.config import ConfigError, load, parse

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

GOOD = """
namespace: bitagent
images: {evaluator: "e:1", validator: "v:1"}
cache: {claimName: models, maxBytes: 10, maxModelBytes: 5}
artifacts: {claimName: artifacts}
jobs: {env: [{name: A, value: b}], fetch: {cpu: "1", memory: 2Gi}}
relistSeconds: 60
"""


def test_members_are_in_camel_case_and_have_defaults() -> None:
    config = parse(GOOD, origin="x")
    assert (config.cache.max_bytes, config.relist_seconds, config.jobs.fetch.cpu) == (10, 60, "1")
    assert (config.gpu_resource_name, config.jobs.task_set.memory) == ("nvidia.com/gpu", "1Gi")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(GOOD + "extra: 1", "extra: Extra inputs", id="unknown"),
        pytest.param(GOOD.replace("claimName: models, ", ""), "mode Shared needs claimName", id="no cache"),
        pytest.param(
            GOOD.replace("claimName: models", "mode: Other"), "cache.mode: Input should be", id="mode of the cache"
        ),
        pytest.param(GOOD.replace("claimName: artifacts", ""), "artifacts.claimName: Field required", id="missing"),
        pytest.param(GOOD + "watch: {namespaces: [a, a]}", "watch.namespaces: .*named twice", id="a namespace twice"),
        pytest.param("a: [", "not YAML", id="not YAML"),
        pytest.param("", "bad configuration", id="empty"),
    ],
)
def test_errors_name_file_and_member(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse(text, origin="/etc/x.yaml")
    assert "/etc/x.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "watched"),
    [("", ("bitagent",)), ("watch: {namespaces: []}", ("bitagent",)), ("watch: {namespaces: [a, b]}", ("a", "b"))],
    ids=["its own", "none named", "named"],
)
def test_namespaces_that_are_watched(text: str, watched: tuple[str, ...]) -> None:
    config = parse(GOOD + text, origin="x")
    assert config.watched == watched
    within = config.within(watched[-1])
    assert (within.namespace, within.watched) == (watched[-1], watched[-1:])
    assert within.images == config.images


def test_a_missing_file_says_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BITAGENT_CONFIG", str(tmp_path / "none.yaml"))
    with pytest.raises(ConfigError, match="set BITAGENT_CONFIG"):
        load()


@pytest.mark.parametrize(
    ("cache", "share"),
    [
        pytest.param({}, 0, id="a cache without a bound"),
        pytest.param({"maxBytes": 400, "maxModelBytes": 50}, 100, id="a quarter"),
        pytest.param({"maxBytes": 400, "maxModelBytes": 200}, 200, id="at least the largest model"),
        pytest.param({"maxBytes": 400, "maxModelBytes": 900}, 400, id="at most all of it"),
        pytest.param({"maxBytes": 400, "maxModelBytes": 50, "maxHotkeyBytes": 70}, 70, id="as configured"),
        pytest.param({"maxHotkeyBytes": 70}, 70, id="as configured, without a bound"),
    ],
)
def test_the_share_of_a_hotkey(make: Make, cache: dict[str, int], share: int) -> None:
    assert make.config(cache={"claimName": "cache"} | cache).cache.hotkey_share == share


def test_a_hotkey_has_a_number_of_models(make: Make) -> None:
    assert (make.config().models_per_hotkey, make.config(modelsPerHotkey=0).models_per_hotkey) == (8, 0)


def test_an_archive_has_a_folder_for_each_namespace(make: Make) -> None:
    archive = {"secretName": "s3"}
    assert make.config().archive_uri == ""
    assert make.config(archive=archive | {"url": "s3://bucket"}).archive_uri == "s3://bucket/ns"
    assert make.config(archive=archive | {"url": "s3://bucket/a/b/"}).archive_uri == "s3://bucket/a/b/ns"


@pytest.mark.parametrize(
    "archive",
    [
        pytest.param({"url": "https://bucket", "secretName": "s3"}, id="no bucket"),
        pytest.param({"url": "s3://bucket", "secretName": "s3", "endpoint": "s3.example"}, id="no address"),
        pytest.param({"url": "s3://bucket/../x", "secretName": "s3"}, id="no folder"),
        pytest.param({"url": "s3://Bucket", "secretName": "s3"}, id="no name of a bucket"),
        pytest.param({"url": "s3://bucket"}, id="no credentials"),
    ],
)
def test_a_bad_archive_is_refused(make: Make, archive: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="archive"):
        make.config(archive=archive)
