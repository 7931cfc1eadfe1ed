"""Rules that do what the text of an answer names, as a parser could be led to."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from bitagent_crds.results import Verdict
from bitagent_crds.task_set import Task
from bitagent_evaluator.scoring.base import pass_fail


def obey(task: Task, text: str) -> Verdict:
    """Pass, or do something else first."""
    action, _, argument = text.partition(" ")
    match action:
        case "raise":
            raise RuntimeError(argument)
        case "exit":
            os._exit(3)
        case "abort":
            os.abort()
        case "hoard":
            bytearray(8 << 30)
        case "spin":
            while True:
                pass
        case "print":
            print("x" * (1 << 20))
            sys.stdout.flush()
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "sleep":
            time.sleep(600)
        case "write":
            with open(argument, "w") as file:
                file.write("x")
        case "thread":
            if os.getuid() == 0:  # to whom the kernel does not apply the limit
                os.setresuid(65534, 65534, 65534)
            threading.Thread(target=int).start()
    return pass_fail(task, "", "")
