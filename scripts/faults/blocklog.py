"""A disk that remembers: a plugin of nbdkit that logs every write and every flush.

Parameters: image=FILE, which it writes to as well, and log=FILE. A record of the log is a letter
(w: write, f: flush), offset and length as 64-bit numbers, and the bytes.
"""

import os
import struct

import nbdkit  # pylint: disable=import-error

API_VERSION = 2
RECORD = struct.Struct("<cQQ")
FILES = {}


def config(key, value):
    """Opens the file that a parameter names."""
    more = os.O_CREAT | os.O_APPEND if key == "log" else 0
    FILES[key] = os.open(value, os.O_RDWR | more, 0o600)


def thread_model():
    """One request after another: the log has their order."""
    return nbdkit.THREAD_MODEL_SERIALIZE_ALL_REQUESTS


def open(readonly):  # pylint: disable=redefined-builtin,unused-argument
    """A connection."""
    return 1


def get_size(_):
    """The size of the disk."""
    return os.fstat(FILES["image"]).st_size


def can_write(_):
    """It can be written to."""
    return True


def can_flush(_):
    """It has a cache that can be flushed."""
    return True


def can_fua(_):
    """A write that must be durable at once is a write and a flush."""
    return nbdkit.FUA_EMULATE


def pread(_, buffer, offset, __):
    """A read."""
    buffer[:] = os.pread(FILES["image"], len(buffer), offset)


def pwrite(_, buffer, offset, __):
    """A write, logged."""
    os.pwrite(FILES["image"], buffer, offset)
    os.write(FILES["log"], RECORD.pack(b"w", offset, len(buffer)) + bytes(buffer))


def flush(_, __):
    """A flush, logged."""
    os.write(FILES["log"], RECORD.pack(b"f", 0, 0))
