"""Programs for the type checkers: one that both accept, and mistakes that both report."""
