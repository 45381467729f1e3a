"""From a forecast to something a farmer acts on: rules, latches, messages."""
