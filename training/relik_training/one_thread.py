"""One thread for each of many processes: what they share is cores."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

# What OpenMP, OpenBLAS and MKL read when they are loaded.
_READ = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Have the libraries of processes that are begun meanwhile compute with one thread."""
    before = {name: os.environ.get(name) for name in _READ}
    os.environ.update(dict.fromkeys(_READ, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
