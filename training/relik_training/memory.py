"""Memory that a run no longer uses goes back to the machine.

Batches differ in length, so each leaves gaps of its own in the heap: without this, a run of hours
holds twice what its largest batch needs, and a plan of some steps cannot tell.
"""

import time

import lightning

from relik_training.heap import give_back

# Seconds between two times: giving back costs some milliseconds, and taking again costs more.
_SECONDS = 10.0


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
