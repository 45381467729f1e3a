"""Calm threads, set before NumPy is loaded: tests already run side by side; and examples."""

from hypothesis import settings

from edge_agent.system.console import limit_threads

limit_threads()
# A slow example says how busy the machine is, and nothing about the code: no deadline.
# The same examples in every run, so that a red run is the fault of the change that it tests.
settings.register_profile("fixed", deadline=None, derandomize=True, print_blob=True)
# New examples in every run, ten times as many: `make torture` searches with these.
settings.register_profile(
    "random", deadline=None, derandomize=False, print_blob=True, max_examples=1000
)
settings.load_profile("fixed")
