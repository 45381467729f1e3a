"""Releases on the device: pull, verify, stage, switch, keep the previous one."""
