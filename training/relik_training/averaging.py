"""Averaged weights: the mean of the last steps, which a small data set gains from.

Source: exponential moving averages of weights, Polyak and Juditsky (1992); as in Tarvainen and
Valpola (2017), the average is what is evaluated.
"""

import lightning
from lightning.pytorch.callbacks import EMAWeightAveraging


class Averaging(EMAWeightAveraging):
    """Ends a run with the moving average of its weights; part of every checkpoint.

    Args:
        decay: What a step leaves of the average before it, 0..1: 0.995 averages about 200 steps.
    """

    def __init__(self, decay: float) -> None:
        # The table of words is a buffer, and is never trained.
        super().__init__(use_buffers=False, decay=decay)

    def on_fit_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Put the average into the module.

        A run that was killed behind its last step has nothing left to train, and no end of it.

        Args:
            trainer: What ran.
            pl_module: What was trained.
        """
        self.on_train_end(trainer, pl_module)
