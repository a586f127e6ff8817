"""The fault suite: what is promised through crashes, stalls, rivals and outages, tried on real processes and judged.

`python -m faults` (or `make faults`) puts each fault of `faults.catalogue` to worker processes of the bank example under
load, and prints a table. The judge (`reading`, `judge`, `rows`) shares no code with the framework.
"""
