"""From the packaged program to a service: versions side by side, systemd units, the way back."""
