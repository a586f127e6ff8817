"""Properties: pure code against random input and oracles written by others."""
