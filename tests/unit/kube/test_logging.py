"""Log lines of a controller."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from bitagent_kube import logging as kube_logging


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Leave the root logger as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_in_pods_a_line_is_json_with_the_exception(capsys: pytest.CaptureFixture[str]) -> None:
    kube_logging.configure(json_lines=True)
    try:
        raise ValueError("broken\nin two lines")
    except ValueError:
        logging.getLogger("n").exception("model %s went wrong", "é")
    (line,) = capsys.readouterr().err.splitlines()
    read = json.loads(line)
    assert (read["level"], read["logger"], read["message"]) == ("error", "n", "model é went wrong")
    assert "broken\nin two lines" in read["traceback"]


def test_a_line_names_its_object_in_members(capsys: pytest.CaptureFixture[str]) -> None:
    kube_logging.configure(json_lines=True)
    log = logging.getLogger("n")
    with kube_logging.fields(kind="EvalRound", name="r", message="not this"):
        with kube_logging.fields(attempt="1"):
            log.info("in both", extra={"fields": {"attempt": "2"}})
        log.info("in one")
    log.info("outside")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line.get("kind"), line.get("name"), line.get("attempt"), line["message"]) for line in lines] == [
        ("EvalRound", "r", "2", "in both"),
        ("EvalRound", "r", None, "in one"),
        (None, None, None, "outside"),
    ]


def test_on_a_terminal_it_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    kube_logging.configure(json_lines=False)
    logging.getLogger("n").info("hello")
    assert capsys.readouterr().err.endswith("INFO    n: hello\n")


def test_single_loggers_have_levels_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    kube_logging.configure(json_lines=False, level=logging.DEBUG, levels={"noisy": logging.ERROR})
    logging.getLogger("noisy").warning("not this")
    logging.getLogger("n").debug("this")
    text = capsys.readouterr().err
    assert ("not this" in text, "this" in text) == (False, True)
    logging.getLogger("noisy").setLevel(logging.NOTSET)


def test_a_pipe_is_no_terminal() -> None:
    assert not kube_logging.on_terminal()
