"""Properties of values, shapes and validators."""
