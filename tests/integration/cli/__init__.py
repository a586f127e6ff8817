"""The program as users call it, on an app of these tests' own."""
