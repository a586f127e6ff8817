"""The search of state spaces: sizes that others published, a plain search beside it, and bad code that it must name."""
