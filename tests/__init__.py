"""Tests, by cost: unit and properties need nothing, contracts, integration and faults start the servers they need."""
