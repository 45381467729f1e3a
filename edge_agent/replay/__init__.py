"""The agent's own cycle over recorded hours, and the scores of its alerts.

Imports `core` and the rooms below it.
"""
