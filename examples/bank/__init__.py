"""A bank: accounts, transfers between them as a saga, a read model of balances, and proof that money is conserved."""
