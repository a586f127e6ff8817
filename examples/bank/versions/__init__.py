"""Two second versions of the bank's account: `closable`, which does only what the first could, and `careless`, which does not."""
