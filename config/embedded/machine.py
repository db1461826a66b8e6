"""What the machine, or the container, has to give."""

import contextlib
import os
import shutil
from pathlib import Path


def machine_memory_mb() -> int:
    """Of the machine, or of the container where that has a limit."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            memory = min(memory, int(Path(file).read_text()))
    return memory // 2**20


def shared_memory_is_roomy() -> bool:
    """Containers often give /dev/shm 64 MB, too little for parallel hash joins."""
    with contextlib.suppress(OSError):
        return shutil.disk_usage("/dev/shm").total >= 256 * 2**20  # noqa: S108 — asked, not written
    return True
