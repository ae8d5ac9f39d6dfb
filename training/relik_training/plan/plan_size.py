"""How much memory values hold, by what they are made of: the memory of a process is too coarse."""

import gc
import resource
import sys
import types
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from relik_training.run.run_clock import peak_memory

# They are there whatever the data are.
_SHARED = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType)
# What the allocator adds to each object: it hands out multiples of 16 bytes.
_ROUNDING = 8


def held_bytes(value: object, *, without: Iterable[object] = ()) -> int:
    """Add up the sizes of all objects that a value refers to.

    Args:
        value: The value.
        without: Values whose objects are left out.

    Returns:
        Bytes.
    """
    seen: set[int] = set()
    _walk(list(without), seen)
    return _walk([value], seen)


def resident_bytes() -> int:
    """Tell the memory that this process holds now.

    Returns:
        Resident bytes; the most so far where the system does not tell.
    """
    path = Path("/proc/self/statm")
    if not path.is_file():
        return peak_memory()
    return int(path.read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def _walk(waiting: list[object], seen: set[int]) -> int:
    total = 0
    while waiting:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, _SHARED):
            continue
        seen.add(id(value))
        total += sys.getsizeof(value, 0) + _ROUNDING
        if isinstance(value, np.ndarray) and value.base is not None:
            total += value.nbytes
        waiting.extend(gc.get_referents(value))
    return total
