"""What devices tell through their broker: state of the fleet, farms' own hours.

Imports `workspace` and `ingest`.
"""
