"""The command line, run in the test's process."""

import sys
from collections.abc import Callable

import pytest

from flows.cli import main

Run = Callable[..., tuple[int, str, str]]
"""Runs `rl-loop` with these arguments; returns exit status, output and errors."""


def runner(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rl-loop", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        status = ended.value.code
        return (status if isinstance(status, int) else 0, *capsys.readouterr())

    return call
