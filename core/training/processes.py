"""Several processes that train one model together, each on its share of every batch; torchrun starts them.

With one process all of this does nothing. Only the first process writes to the run's folder.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor


@contextmanager
def together(device: str = "cpu") -> Iterator[bool]:
    """Join the processes that torchrun started with this one, until the end of the block.

    Args:
        device: What each trains on; with "cuda" every process takes a card of its own.

    Yields:
        Whether this is the first of them, which alone writes and tells.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield True
        return
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield is_first()
    finally:
        dist.destroy_process_group()
        # WORKAROUND: gloo's threads still let go of the last tensors; a process that ends before is aborted
        # (https://github.com/pytorch/pytorch/pull/179291). A torch that waits for them retires this.
        time.sleep(0.3)


def count() -> int:
    """How many processes train together."""
    return dist.get_world_size() if _joined() else 1


def number() -> int:
    """Which of them this is, from 0."""
    return dist.get_rank() if _joined() else 0


def is_first() -> bool:
    """Whether this is the process that writes."""
    return number() == 0


def wait_for_all() -> None:
    """Go on when every process is here."""
    if _joined():
        dist.barrier()


def average(tensors: Iterable[Tensor]) -> None:
    """Put the mean over all processes into each tensor."""
    if not _joined():
        return
    for tensor in tensors:
        dist.all_reduce(tensor)
        tensor /= count()


def as_the_first(values: list[float], device: str = "cpu") -> list[float]:
    """The first process's values, in all of them."""
    if not _joined():
        return values
    shared = torch.tensor(values, dtype=torch.float64, device=device)
    dist.broadcast(shared, src=0)
    return [float(value) for value in shared]


def _joined() -> bool:
    return dist.is_available() and dist.is_initialized()
