"""Settings of hypothesis for all unit tests: the same examples at every run, whatever the machine is busy with."""

from hypothesis import settings

settings.register_profile("unit", derandomize=True, deadline=None, max_examples=100)
settings.load_profile("unit")
