"""Free memory of the heap goes back to the machine."""

import ctypes
import sys


def give_back() -> bool:
    """Give free memory of the heap back to the machine.

    Returns:
        Whether something was given back; False where the C library is not the GNU one.
    """
    if not sys.platform.startswith("linux"):
        return False
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return bool(trim(0)) if trim is not None else False
