"""Free memory of the heap goes back to the machine."""

import ctypes
import sys
import time

import lightning

# Seconds between two times: giving back costs some milliseconds, and taking again costs more.
_SECONDS = 10.0


def give_back() -> bool:
    """Give free memory of the heap back; False where nothing was, as without the GNU C library."""
    if not sys.platform.startswith("linux"):
        return False
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return bool(trim(0)) if trim is not None else False


class GivingBack(lightning.Callback):
    """Gives memory back now and then."""

    def __init__(self) -> None:
        self._given = time.monotonic()

    def on_train_batch_end(
        self,
        _trainer: lightning.Trainer,
        _module: lightning.LightningModule,
        *_outcome: object,
    ) -> None:
        """Give back after a step, where the last time is some seconds ago."""
        if time.monotonic() - self._given >= _SECONDS:
            give_back()
            self._given = time.monotonic()
