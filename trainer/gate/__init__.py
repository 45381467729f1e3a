"""What may go live: decision rules, canary, drift.

Imports `workspace`, `evaluation`, `ingest` and `depot`.
"""
