"""File systems of the operating system itself, of processes, devices and settings, by the numbers of their devices.

A folder such as ``/proc`` shows the files of every process once more, under names that are gone a moment later.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["system_devices"]

_KINDS = frozenset(
    (
        *("binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devfs", "devpts", "devtmpfs", "efivarfs"),
        *("fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "rpc_pipefs", "securityfs", "selinuxfs", "sysfs"),
        "tracefs",
    )
)
_FOLDERS = ("/proc", "/sys", "/dev")
"""Where they are on every system, as a container's ``/dev`` is of another kind."""


def system_devices() -> frozenset[int]:
    """The device (``st_dev``) of every such file system that is mounted now."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    except OSError:
        mounts = []
    devices = set()
    for mount in mounts:
        place, _, kind = mount.partition(" - ")
        if kind.split(" ")[0] in _KINDS:
            major, minor = place.split(" ")[2].split(":")
            devices.add(os.makedev(int(major), int(minor)))
    for folder in filter(os.path.ismount, _FOLDERS):
        devices.add(os.stat(folder).st_dev)
    return frozenset(devices)
