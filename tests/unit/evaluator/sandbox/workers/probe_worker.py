"""Workers that do what untrusted input could lead to, one method for each way."""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

from bitagent_evaluator.sandbox.protocol import Frame, Refused, encode

GIB = 1 << 30
SINK = 3
"""The child's end of the answers' pipe: its first free descriptor."""


def become_nobody() -> None:
    """Give up root, to which the kernel does not apply the limit of processes."""
    if os.getuid() == 0:
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)


class Probe:
    """Does what `{"do": NAME, ...}` names."""

    def handle(self, body: dict[str, Any], blobs: Mapping[str, bytes]) -> dict[str, Any]:
        result: dict[str, Any] = getattr(self, body["do"])(body, blobs)
        return result

    # Sound requests.

    def echo(self, body: dict[str, Any], blobs: Mapping[str, bytes]) -> dict[str, Any]:
        return {"value": body["value"], "sizes": {name: len(blob) for name, blob in blobs.items()}}

    def pid(self, *_: Any) -> dict[str, Any]:
        return {"pid": os.getpid()}

    def environment(self, *_: Any) -> dict[str, Any]:
        return {"names": sorted(os.environ)}

    def burn(self, body: dict[str, Any], _: Any) -> dict[str, Any]:
        end = time.process_time() + body["seconds"]
        while time.process_time() < end:
            pass
        return {}

    # Failures.

    def refuse(self, *_: Any) -> dict[str, Any]:
        raise Refused("BadConfig", "no good")

    def fail(self, *_: Any) -> dict[str, Any]:
        raise KeyError("missing")

    def panic(self, *_: Any) -> dict[str, Any]:
        class PanicException(BaseException):
            pass

        raise PanicException("index out of bounds")

    def nest(self, *_: Any) -> dict[str, Any]:
        return self.nest()

    # Time and memory.

    def spin(self, *_: Any) -> dict[str, Any]:
        while True:
            pass

    def power(self, *_: Any) -> dict[str, Any]:
        return {"value": len(str((9**9) ** (9**9)))}

    def hoard(self, *_: Any) -> dict[str, Any]:
        return {"value": len(bytearray(8 * GIB))}

    def shout(self, body: dict[str, Any], _: Any) -> dict[str, Any]:
        return {"value": "x" * body["size"]}

    def sleep(self, *_: Any) -> dict[str, Any]:
        time.sleep(600)
        return {}

    # The end of the process.

    def crash(self, *_: Any) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGSEGV)
        return self.sleep()

    def abort(self, *_: Any) -> dict[str, Any]:
        os.abort()

    def leave(self, *_: Any) -> dict[str, Any]:
        os._exit(3)

    # Files and processes.

    def write(self, body: dict[str, Any], _: Any) -> dict[str, Any]:
        handle = os.open(body["path"], os.O_WRONLY | os.O_CREAT)
        try:
            os.write(handle, b"x")
        except OSError as error:
            return {"error": error.strerror}
        return {}

    def fork(self, *_: Any) -> dict[str, Any]:
        become_nobody()
        try:
            pid = os.fork()
        except OSError as error:
            return {"error": error.strerror}
        if not pid:
            os._exit(0)
        os.waitpid(pid, 0)
        return {}

    def thread(self, *_: Any) -> dict[str, Any]:
        become_nobody()
        try:
            threading.Thread(target=int).start()
        except RuntimeError as error:
            return {"error": str(error)}
        return {}

    # Answers that are not answers.

    def huge_frame(self, *_: Any) -> dict[str, Any]:
        os.write(SINK, struct.pack(">Q", 1 << 50))
        return self.sleep()

    def huge_blob(self, *_: Any) -> dict[str, Any]:
        return self._head({"body": {}, "blobs": {"a": 1 << 50}})

    def negative_blob(self, *_: Any) -> dict[str, Any]:
        return self._head({"body": {}, "blobs": {"a": 1 << 20, "b": -(1 << 20)}})

    def no_body(self, *_: Any) -> dict[str, Any]:
        return self._head([1])

    def no_json(self, *_: Any) -> dict[str, Any]:
        os.write(SINK, struct.pack(">Q", 4) + b"\xff\xfe{{")
        return self.sleep()

    def nested_json(self, *_: Any) -> dict[str, Any]:
        head = b"[" * 200_000
        os.write(SINK, struct.pack(">Q", len(head)) + head)
        return self.sleep()

    def _head(self, head: Any) -> dict[str, Any]:
        text = json.dumps(head).encode()
        os.write(SINK, struct.pack(">Q", len(text)) + text)
        return self.sleep()

    def two_frames(self, *_: Any) -> dict[str, Any]:
        os.write(SINK, 2 * encode(Frame({"ok": {"value": "forged"}})))
        return self.sleep()

    def endless_frames(self, *_: Any) -> dict[str, Any]:
        while True:
            os.write(SINK, b"x" * (1 << 16))

    def endless_prints(self, *_: Any) -> dict[str, Any]:
        while True:
            sys.stdout.write("x" * (1 << 16))

    def drip(self, *_: Any) -> dict[str, Any]:
        os.write(SINK, struct.pack(">Q", 1000))
        while True:
            os.write(SINK, b" ")
            time.sleep(0.02)

    def unspeakable(self, *_: Any) -> dict[str, Any]:
        return {"value": object()}

    def long_number(self, *_: Any) -> dict[str, Any]:
        return {"value": 10**5000}

    def nested_answer(self, *_: Any) -> dict[str, Any]:
        value: list[Any] = []
        for _level in range(100_000):
            value = [value]
        return {"value": value}


class Broken:
    """Cannot be created."""

    def __init__(self) -> None:
        raise RuntimeError("cannot start")


class Slow(Probe):
    """Takes long to create."""

    def __init__(self) -> None:
        time.sleep(600)


class Spinning(Probe):
    """Computes without end while it is created."""

    def __init__(self) -> None:
        self.spin()


class Configured(Probe):
    """Is created with arguments."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments

    def handle(self, body: dict[str, Any], blobs: Mapping[str, bytes]) -> dict[str, Any]:
        return {"arguments": list(self._arguments)}
