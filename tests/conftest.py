"""Calm threads, set before NumPy is loaded: tests already run side by side."""

from hypothesis import settings

from edge_agent.system.console import limit_threads

limit_threads()
# A slow example says how busy the machine is, and nothing about the code.
settings.register_profile("no clock", deadline=None)
settings.load_profile("no clock")
