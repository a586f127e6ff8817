"""The log: partitioned topics with transactions.

`port` states what every adapter guarantees; adapters are imported by name, or opened by address.
"""
