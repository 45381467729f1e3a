"""The demo: generated weather, a stand-in for KMA's services, an embedded broker, the runner."""
