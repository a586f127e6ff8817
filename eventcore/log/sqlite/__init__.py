"""The log in one SQLite file: embedded, durable, and shared by the processes of one machine. `SqliteLog` is all that others use.

The rules that shape the whole:

S1  A table a topic partition, named as positions are printed (`bank.account.events[0]`), with the offset as its rowid:
    appending goes to the right edge of one B-tree, and reading from an offset is one range of it.
S2  A writer keeps its records in memory until `commit`; then one SQL transaction checks that it still owns the lane,
    inserts all, and moves the consumed position. So nothing undecided is ever in the file, and offsets have no gaps.
    Only `receive` opens the transaction early, since its offsets must be certain.
S3  Who may own lanes is settled by an operating-system lock on a side file, which ends with its process however that
    ends, and within it by a term a lane, compared in every transaction.
S4  One connection writes in a process, guarded by a lock; each follower has a connection of its own. Commits of this
    process wake followers at once, those of other processes are noticed by polling `data_version`.
"""

from eventcore.log.sqlite.log import SqliteLog

__all__ = ["SqliteLog"]
