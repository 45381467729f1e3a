"""Calm threads, set before NumPy is loaded: tests already run side by side."""

from edge_agent.console import calm_threads

calm_threads()
