"""Benchmarks: our figures beside the raw clients', taken in one run. Nothing here passes or fails."""
