"""Generated weather, a stand-in for KMA's services and an embedded broker: the demo's world."""
