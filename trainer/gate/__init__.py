"""What may go live: decision rules, canary, drift.

Imports `workspace`, `evaluation` and `depot`.
"""
