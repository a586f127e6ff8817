"""Rows are the fold of the log, whatever happens on the way."""
