"""One hour of the agent, the loop around it, and the objects that both need.

Imports every room below: observations, updates, mqtt, forecasting, alerts.
"""
