"""The lane, decision by decision and restart by restart, on a log in memory."""
