"""The farm's page: sections, chart and texts, Korean and English. Pure."""
