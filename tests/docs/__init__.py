"""The pages: every code block runs, every link leads somewhere, every promise cites a test that exists."""
