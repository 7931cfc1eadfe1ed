"""A program for tests: others in processes that find vLLM imported, since its import takes 6 s of a processor.

    python evaluator_server.py MODEL     imports vLLM as for this folder of a model, then reads requests, one a line

A request is {"program", "arguments", "environment", "directory", "out", "err"}; `out` and `err` are files, and the
program is a file of Python, or null for `bitagent-eval`. It is answered by two lines: {"pid"} as soon as the process
runs, and {"code"} once it has ended, negative after a signal. Each process is a fork of this one, which has one thread,
has read no model and has no engine.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, NoReturn

from bitagent_evaluator.cli import app
from bitagent_evaluator.engines.preload import Preload


def run(request: dict[str, Any]) -> NoReturn:
    """Become the program."""
    code, program = 1, request["program"]
    try:
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        for number, path in ((1, request["out"]), (2, request["err"])):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["directory"])
        sys.argv = [program or "bitagent-eval", *request["arguments"]]
        if program is None:
            code = app.main()
        else:
            runpy.run_path(program, run_name="__main__")
            code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - this process has no caller
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Answer requests until the input ends."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What libraries print is not an answer.
    Preload(Path(sys.argv[1])).wait()
    assert threading.active_count() == 1, threading.enumerate()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            run(json.loads(line))
        print(json.dumps({"pid": pid}), file=replies, flush=True)
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), file=replies, flush=True)


if __name__ == "__main__":
    main()
