"""The lane: the single writer of one partition. `lane` decides, `memory` remembers, `restore` reads back, `runner` does the I/O."""
