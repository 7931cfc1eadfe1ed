"""The operator's command line: help needs no cluster, a wrong word is told."""

from __future__ import annotations

import pytest

from bitagent_operator.__main__ import main


def test_help_names_where_the_configuration_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "BITAGENT_CONFIG" in capsys.readouterr().out


def test_an_unknown_word_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--verbose"])
    assert ended.value.code == 2
    assert "--verbose" in capsys.readouterr().err


def test_a_missing_configuration_is_told_and_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("BITAGENT_CONFIG", "/nowhere/config.yaml")
    assert main([]) == 1
