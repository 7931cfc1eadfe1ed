"""Candidates of the last word, and scripts that the shells take."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from bitagent_cli.completion import SCRIPTS, candidates
from bitagent_cli.parser import VERBS, build


@pytest.mark.parametrize(
    ("words", "expected", "kind"),
    [
        pytest.param([""], tuple(VERBS), "", id="verbs"),
        pytest.param(["explain", ""], ("er", "mm", "val"), "", id="kinds"),
        pytest.param(["explain", "er", ""], (), "er", id="names of a kind"),
        pytest.param(["explain", "er", "x", ""], (), "", id="nothing more"),
        pytest.param(["retry", ""], (), "er", id="rounds"),
        pytest.param(["models", "a", ""], (), "mm", id="several models"),
        pytest.param(["rounds", "-n", "ns", ""], (), "er", id="the value of an option is no name"),
        pytest.param(["rounds", "-o", ""], ("wide", "name", "json", "yaml"), "", id="values of an option"),
        pytest.param(["report", "r", "--model", ""], (), "mm", id="models of an option"),
        pytest.param(["logs", ""], ("er/", "mm/", "val/"), "", id="kinds before a slash"),
        pytest.param(["logs", "mm/"], (), "mm", id="names after it"),
        pytest.param(["completion", ""], ("bash", "zsh", "fish"), "", id="shells"),
        pytest.param(["nothing", ""], (), "", id="no such verb"),
    ],
)
def test_candidates(words: list[str], expected: tuple[str, ...], kind: str) -> None:
    found = candidates(build(), words)
    assert (found.words, found.kind) == (expected, kind)


def test_options() -> None:
    assert {"--force", "--wait", "--namespace"} <= set(candidates(build(), ["retry", "--"]).words)


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_shell_reads_its_script(shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        assert shell != "bash"
        assert "bitagent __complete" in SCRIPTS[shell]
        return
    done = subprocess.run([program, "-n"], input=SCRIPTS[shell], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_bash_completes_a_verb(tmp_path: object) -> None:
    script = SCRIPTS["bash"] + (
        'bitagent() { shift; printf "leaderboard\\nlogs\\n:4\\n"; }\n'
        "COMP_WORDS=(bitagent lea); COMP_CWORD=1; _bitagent; echo ${COMPREPLY[@]}\n"
    )
    done = subprocess.run(["bash"], input=script, capture_output=True, text=True, check=True)
    assert done.stdout == "leaderboard\n"
