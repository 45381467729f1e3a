"""Files, database, locks, clock, privileges and logging: what the agent needs of its machine.

Imports `contract` only.
"""
