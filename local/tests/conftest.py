"""Property tests try the same examples in every run, without a deadline; HYPOTHESIS_PROFILE=fuzz tries new and more."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None, max_examples=50)
settings.register_profile("fuzz", derandomize=False, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
