"""Run one submission in a short-lived process with a hard time limit.

The SDK waits without end for a chain that stalls, and a cancelled submission leaves its client with a nonce that no
node will take; a process that is killed leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import os
import sys

from pydantic import ValidationError

from bitagent_validator.weights.messages import Outcome, Request, Result

MODULE = "bitagent_validator.submit"


async def submit(request: Request, *, timeout_seconds: float) -> Result:
    """Submit, and return only when the process is gone: nothing can be signed afterwards."""
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            MODULE,
            str(os.getpid()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        return Result(outcome=Outcome.REFUSED, message=f"the submitting process cannot be started: {error}")
    try:
        async with asyncio.timeout(timeout_seconds):
            output, _ = await process.communicate(request.model_dump_json().encode())
    except TimeoutError:
        return Result(outcome=Outcome.TIMED_OUT, message=f"the submission was killed after {timeout_seconds:g} s")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = output.splitlines()
    try:
        return Result.model_validate_json(lines[-1] if lines else b"")
    except ValidationError:
        message = f"the submitting process ended with status {process.returncode} and without a result"
        return Result(outcome=Outcome.UNKNOWN, message=message)
