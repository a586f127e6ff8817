"""The words that users test their services with."""
