"""Tests that kill, stop and cut what the project runs on."""
