"""What a person may ask for: that nothing here can be told to be theirs any more."""

from ops.persons.erasing import ErasureError, erase, finish
from ops.persons.identifiers import read_identifiers
from ops.persons.waiting import held_up

__all__ = ["ErasureError", "erase", "finish", "held_up", "read_identifiers"]
