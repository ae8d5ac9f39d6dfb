"""Processes that end with the one that began them."""

import multiprocessing
import os
import threading
from multiprocessing.process import BaseProcess


def end_with_parent() -> None:
    """End this process when the one that began it is gone, killed or not.

    As the initializer of a pool: workers wait for work, or do it, whoever asked for it.
    """
    if (parent := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)  # no clean-up: this is not the main thread, and nobody waits for results
