"""The configuration file."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitagent_operator.config import ConfigError, load, parse

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
        pytest.param(GOOD.replace("claimName: artifacts", ""), "artifacts.claimName: Field required", id="missing"),
        pytest.param("a: [", "not YAML", id="not YAML"),
        pytest.param("", "bad configuration", id="empty"),
    ],
)
def test_errors_name_file_and_member(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse(text, origin="/etc/x.yaml")
    assert "/etc/x.yaml" in str(caught.value)


def test_a_missing_file_says_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BITAGENT_CONFIG", str(tmp_path / "none.yaml"))
    with pytest.raises(ConfigError, match="set BITAGENT_CONFIG"):
        load()
