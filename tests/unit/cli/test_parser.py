"""Verbs and options."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pytest

from bitagent_cli.parser import VERBS, WITHOUT_CLUSTER, Exit, build


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_a_module_that_runs_it(verb: str) -> None:
    module = importlib.import_module(f"bitagent_cli.verbs.{VERBS[verb].module}")
    assert inspect.iscoroutinefunction(module.run)


@pytest.mark.parametrize("verb", sorted(set(VERBS) - WITHOUT_CLUSTER))
def test_each_verb_takes_the_options_of_the_cluster(verb: str) -> None:
    needed = {
        "explain": ["er", "x"],
        "submit": ["a/b"],
        "logs": ["x"],
        "retry": ["x"],
        "report": ["x"],
        "fetch": ["x", "d"],
    }
    words = [verb, *needed.get(verb, []), "-n", "ns", "--context", "c", "--kubeconfig", "k"]
    options = build().parse_args(words)
    assert (options.verb, options.namespace, options.context, str(options.kubeconfig)) == (verb, "ns", "c", "k")


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["nothing"], id="no such verb"),
        pytest.param(["explain", "pod", "x"], id="no such kind"),
        pytest.param(["rounds", "-o", "table"], id="no such format"),
        pytest.param(["submit"], id="no repository"),
    ],
)
def test_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        build().parse_args(words)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "kind"),
    [("er", "er"), ("evalround", "er"), ("evalrounds.bitagent.io", "er"), ("MinerModel", "mm"), ("validators", "val")],
)
def test_a_kind_has_the_names_that_kubectl_takes(word: str, kind: str) -> None:
    assert build().parse_args(["explain", word, "x"]).kind == kind


def test_help_loads_no_library() -> None:
    """A help that imports Kubernetes' client or pydantic takes a second instead of a tenth of one."""
    program = (
        "import sys; from bitagent_cli.main import main\n"
        "try:\n main(['explain', '--help'])\n"
        "finally:\n"
        " print(sorted({'kubernetes', 'pydantic', 'aiohttp', 'yaml', 'asyncio'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "['asyncio']"), done.stderr


@pytest.mark.parametrize(
    ("word", "said"),
    [
        pytest.param("round", "did you mean rounds?", id="near"),
        pytest.param("xyzzy", ", doctor, ", id="none is near"),
    ],
)
def test_a_mistyped_verb(word: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        build().parse_args([word])
    assert end.value.code == Exit.USAGE
    assert said in capsys.readouterr().err
