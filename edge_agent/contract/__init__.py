"""What trainer and agent must agree on: quantities, features, forecasts, releases, events.

Pure: no clock, disk, network or log. Imports the standard library, polars, numpy and msgspec only.
"""
