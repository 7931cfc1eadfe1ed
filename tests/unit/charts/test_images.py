"""The Dockerfiles' promises, read from their text; `make images` proves the rest."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
IMAGES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "images/images.yaml").read_text())


@pytest.fixture(params=sorted(IMAGES))
def image(request: pytest.FixtureRequest) -> dict[str, Any]:
    return IMAGES[request.param]


def instructions(image: dict[str, Any]) -> list[str]:
    """One line an instruction, without comments, arguments filled in."""
    text = (ROOT / image["dockerfile"]).read_text()
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    for name, value in image["args"].items():
        text = text.replace(f"${{{name}}}", value)
    return [line for line in text.splitlines() if line.strip()]


def test_every_dockerfile_is_listed() -> None:
    assert {i["dockerfile"] for i in IMAGES.values()} == {f"images/{p.name}" for p in ROOT.glob("images/*.Dockerfile")}


def test_entries_have_one_form(image: dict[str, Any]) -> None:
    assert set(image) == {"dockerfile", "context", "args"}
    assert [path for path in image["context"] if not (ROOT / path).exists()] == []


def test_context_is_exactly_what_is_copied(image: dict[str, Any]) -> None:
    copied = {
        source
        for line in instructions(image)
        if line.startswith("COPY ") and "--from=" not in line
        for source in line.split()[1:-1]
    }
    assert copied == set(image["context"])


def test_context_passes_the_ignore_file(image: dict[str, Any]) -> None:
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in rules
    let_in = [rule[1:] for rule in rules if rule.startswith("!")]
    assert [path for path in image["context"] if not any(Path(path).match(rule) for rule in let_in)] == []


def test_any_base_serves(image: dict[str, Any]) -> None:
    lines = instructions(image)
    assert lines[0].startswith("ARG BASE=")
    stages = {m[1] for line in lines if (m := re.search(r"^FROM .* AS (\w+)$", line))}
    for line in lines:
        if line.startswith("FROM "):
            assert line.split()[1] in {"${BASE}", *stages}


def test_runs_as_nobody_in_particular_with_a_passwd_entry(image: dict[str, Any]) -> None:
    lines = instructions(image)
    final = lines[max(i for i, line in enumerate(lines) if line.startswith("FROM ")) :]
    assert any("useradd --uid 65532" in line for line in final)
    assert "USER 65532:65532" in final
    assert [line for line in final[final.index("USER 65532:65532") :] if line.startswith(("RUN", "COPY"))] == []


def test_everything_installed_is_locked(image: dict[str, Any]) -> None:
    """From the network only by hash; without hashes only what was built here."""
    commands = [c for line in instructions(image) if line.startswith("RUN ") for c in re.split(r"&&|\|\||;", line)]
    installs = [c for c in commands if re.search(r"\bpip\b.* install ", c)]
    assert installs
    for command in installs:
        assert "--no-deps" in command
        assert ("--require-hashes" in command) != ("--no-index" in command)


def test_code_is_a_layer_of_its_own_above_the_dependencies(image: dict[str, Any]) -> None:
    copies = [line for line in instructions(image) if line.startswith("COPY --from=")]
    stages = [re.findall(r"--from=(\w+)", line)[0] for line in copies]
    assert stages in (["dependencies", "code"], ["code"])
