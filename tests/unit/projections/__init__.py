"""Projections without a database: definitions, and folding a batch."""
