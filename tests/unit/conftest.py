"""Settings of hypothesis for all unit tests: the same examples at every run, whatever the machine is busy with.

With EXAMPLES=10000 in the environment, each property is tried that often.
"""

import os

from hypothesis import settings

settings.register_profile(
    "unit", derandomize=True, deadline=None, max_examples=int(os.environ.get("EXAMPLES", "100")), database=None
)
settings.load_profile("unit")
