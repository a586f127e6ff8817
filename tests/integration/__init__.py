"""Parts that work together, on servers that the tests start, stop and kill."""
