"""Property tests try the same examples in every run, so that a red run is about the change; `make fuzz` tries new ones.

There is no deadline for an example: how long one takes on a busy machine says nothing, and a test that hangs has its own time limit.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("fuzz", derandomize=False, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
