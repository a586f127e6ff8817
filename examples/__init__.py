"""Example applications: a bank grown by the tutorial, and a real bank's ledger replayed."""
