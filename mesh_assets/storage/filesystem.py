"""What the file system below a folder can do: whether locks hold there, whether it lies on a network, how much is free.

Everything that keeps two processes apart is a lock on a file: where locks do not hold, two daemons, or two runs of one
slice, would overwrite each other. Nothing here changes the folder beyond a probe file that it removes again.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# As /proc/mounts calls them. What hides behind `fuse` alone is unknown; its locks are probed as all are.
NETWORK_TYPES = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "ncpfs"})
NETWORK_FUSE = frozenset({"fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "fuse.davfs", "fuse.ceph-fuse"})
_MOUNTS = Path("/proc/self/mounts")
# The status of the probing process: it was kept out, or it got in; any other status means that it could not lock.
_KEPT_OUT, _GOT_IN = 10, 11
_PROBE = f"""
import fcntl, os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR)
try:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit({_KEPT_OUT})
sys.exit({_GOT_IN})
"""
_PROBE_SECONDS = 60


def locks_hold(folder: Path) -> bool:
    """Whether a lock on a file in `folder` keeps another process out, and lets it in once it is given back.

    OSError where nothing can be written there, so that nothing is known.
    """
    descriptor, name = tempfile.mkstemp(prefix=".lock-probe.", dir=folder)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False  # this file system knows no locks
        if _probe(name) != _KEPT_OUT:
            return False
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return _probe(name) == _GOT_IN
    finally:
        os.close(descriptor)
        Path(name).unlink(missing_ok=True)


def network_type(folder: Path, mounts: Path = _MOUNTS) -> str | None:
    """The type of the network file system that `folder` lies on, such as `nfs4`; None for a disk of this machine."""
    kind = file_system_type(folder, mounts)
    return kind if kind in NETWORK_TYPES | NETWORK_FUSE else None


def file_system_type(folder: Path, mounts: Path = _MOUNTS) -> str | None:
    """The type of the file system that `folder` lies on, as the system calls it; None where the system does not say."""
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    path = folder.resolve()
    best, found = -1, None
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = Path(_unescaped(fields[1]))
        # Of two at one place the later one hides the other.
        if (path == point or point in path.parents) and len(point.parts) >= best:
            best, found = len(point.parts), fields[2]
    return found


def free_bytes(folder: Path) -> int:
    """Bytes that may still be written below `folder`, which need not be there yet."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    return shutil.disk_usage(there).free


def _probe(name: str) -> int:
    command = [sys.executable, "-I", "-S", "-c", _PROBE, name]
    return subprocess.run(command, check=False, timeout=_PROBE_SECONDS, stderr=subprocess.DEVNULL).returncode


def _unescaped(field: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, character)
    return field
