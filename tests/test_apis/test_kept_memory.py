"""What a process takes anew from the system, counted by the system."""

import os
import subprocess
import sys

import pytest

# page faults while maps of 28 MiB, twelve at a time, come and go
SCRIPT = """
import resource
import torch
from pandepth_mm.apis.kept_memory import keep_freed_memory

if {keep}:
    keep_freed_memory()

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def frame():
    maps = [torch.zeros(28, 2**18) for _ in range(12)]

for _ in range(5):
    frame()
before = faults()
for _ in range(5):
    frame()
print(faults() - before)
"""
PAGES = 5 * 12 * 28 * 2**20 // 4096


def faults(keep):
    command = [sys.executable, '-c', SCRIPT.format(keep=keep)]
    # what glibc begins with, and may change as it learns
    env = dict(os.environ, MALLOC_MMAP_THRESHOLD_=str(128 * 1024))
    out = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    return int(out.split()[-1])


@pytest.mark.skipif(sys.platform != 'linux', reason="malloc is glibc's on Linux alone")
def test_maps_come_from_kept_pages():
    assert faults(keep=True) < 0.01 * PAGES
    assert faults(keep=False) > 0.9 * PAGES
