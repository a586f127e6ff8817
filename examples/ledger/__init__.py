"""A real bank's ledger, replayed: 46,997 transactions through lanes into a read model that meets the bank's own figures."""
