"""What one log adapter promises beyond the contract: files, processes, brokers that go away."""
