"""Where observations come from. KMA's short names stay inside this package."""
