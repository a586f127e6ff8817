"""Tests of the examples' pure parts: no log, no database, no server."""
