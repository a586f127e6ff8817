"""Models of published algorithms, as ordinary aggregates: what `eventcore check` finds in them is known to others."""
