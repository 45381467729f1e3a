"""The farm's page, its REST interface and its metrics."""
