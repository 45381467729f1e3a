"""Agronomy: moist air, evapotranspiration, soil water, crops and watering advice.

Pure: no clock, disk or network. Imports `contract` only.
"""
