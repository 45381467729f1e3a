"""Observations: sensors and relayed stations, in one hourly store."""
