"""Unit tests: pure code, called and compared."""
