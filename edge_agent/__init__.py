"""Offline-first edge agent for smart farms. Importing the package stays cheap: version only."""

__version__ = "0.1.0"
