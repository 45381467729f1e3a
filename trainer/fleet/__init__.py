"""Messages of devices from their broker: state of the fleet, farms' own hours.

Imports `workspace` and `ingest`.
"""
