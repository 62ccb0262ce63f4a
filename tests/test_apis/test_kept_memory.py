"""What a process takes anew from the system, counted by the system."""

import os
import platform
import subprocess
import sys

import pytest

from pandepth_mm.apis import kept_memory

# page faults while maps of 28 MiB, twelve at a time, come and go
SCRIPT = """
import resource
import runpy
import torch

if {keep}:
    runpy.run_path({path!r})['keep_freed_memory']()  # without importing the package

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
    command = [sys.executable, '-c', SCRIPT.format(keep=keep, path=kept_memory.__file__)]
    # what glibc begins with, and may change as it learns
    env = dict(os.environ, MALLOC_MMAP_THRESHOLD_=str(128 * 1024))
    env.pop('THP_MEM_ALLOC_ENABLE', None)  # pages of 2 MB, which our training asks for
    out = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    return int(out.split()[-1])


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason="the setting is glibc's")
def test_maps_come_from_kept_pages():
    assert faults(keep=True) < 0.01 * PAGES
    assert faults(keep=False) > 0.9 * PAGES
