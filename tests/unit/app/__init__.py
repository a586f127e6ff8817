"""How an app is put together, and what a client is told."""
