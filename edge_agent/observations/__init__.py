"""What was measured: sensors and relayed stations, into one hourly store."""
