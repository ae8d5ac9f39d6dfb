"""Memory of the heap goes back to the machine."""

import subprocess
import sys

import pytest

_PROGRAM = """
import ctypes
from relik_training.run.run_clock import give_back

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
size = 64 * 1024
blocks = [libc.malloc(size) for _ in range(2000)]
for block in blocks:
    ctypes.memset(block, 1, size)
# The last one keeps the top of the heap, so that what lies below stays with the process.
for block in blocks[:-1]:
    libc.free(block)
before = resident()
assert give_back()
print(before - resident())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of the GNU C library")
def test_free_memory_below_a_block_in_use_is_given_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 100_000_000


def test_memory_is_given_back_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lightning")
    from relik_training.run import callbacks

    now, given = [0.0], []
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(callbacks, "give_back", lambda: given.append(now[0]))
    giving = callbacks.GivingBack()
    for second in (5, 15, 20, 30):
        now[0] = float(second)
        giving.on_train_batch_end(None, None)  # type: ignore[arg-type]  # neither is looked at
    assert given == [15.0, 30.0]
