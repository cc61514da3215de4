"""Walls around the child that reads dangerous formats: no network, and no file but those that a reader needs.

Both are asked of the Linux kernel for this process alone and need no rights. Where a kernel has neither, the child runs
without; `walls` says which stand. Source of the numbers: the kernel's user-space interface, `linux/landlock.h`.
"""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_NO_NEW_PRIVS = 38
# System calls of Landlock; the same on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = _PATH_BENEATH = 1
_EXECUTE, _WRITE, _READ_FILE, _READ_FOLDER = (1 << bit for bit in range(4))
# Everything that the first version knows, and what later ones add: to move files, to cut them, to command devices.
_ALL_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_READ = _EXECUTE | _READ_FILE | _READ_FOLDER
# What the environment calls keys, and addresses with passwords in them, stays out of the child.
_PRIVATE = ("KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL", "URL")
# Libraries, fonts and data of the system; nothing of a person is there.
_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc", "/proc", "/sys", "/dev", "/opt", "/nix")


class _Ruleset(ctypes.Structure):
    _fields_ = [("handled", ctypes.c_uint64)]


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32)]


def open_environment() -> dict[str, str]:
    """What a child behind walls may see of the environment of its parent, who starts it with that alone."""
    return {name: value for name, value in os.environ.items() if not any(part in name for part in _PRIVATE)}


def raise_walls(readable: Iterable[str] = ()) -> list[str]:
    """Leave the network, and give up all files but the system's, Python's, `readable` ones and the temporary folder.

    What stands afterwards: `network`, `files`, or less where the kernel does not have it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    alone = libc.unshare(_CLONE_NEWNET) == 0 or libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0
    package = str(Path(__file__).resolve().parent.parent)
    wanted = [*_SYSTEM, sys.prefix, sys.base_prefix, package, *filter(os.path.isabs, sys.path), *readable]
    walls = ["network"] if alone else []
    return [*walls, "files"] if _only_files(libc, wanted) else walls


def _only_files(libc: ctypes.CDLL, readable: list[str]) -> bool:
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)
    if version < 1:
        return False
    rights = _ALL_RIGHTS[max(known for known in _ALL_RIGHTS if known <= version)]
    ruleset = _Ruleset(rights)
    rules = libc.syscall(_CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(ctypes.sizeof(ruleset)), 0)
    if rules < 0:
        return False
    for path, allowed in [*((path, _READ) for path in readable), (tempfile.gettempdir(), rights), ("/dev", rights)]:
        _allow(libc, rules, path, allowed)
    stands = libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 and libc.syscall(_RESTRICT_SELF, rules, 0) == 0
    os.close(rules)
    return stands


def _allow(libc: ctypes.CDLL, rules: int, path: str, allowed: int) -> None:
    try:
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not on this machine
    try:
        if not Path(path).is_dir():
            allowed &= _EXECUTE | _WRITE | _READ_FILE
        rule = _Beneath(allowed, folder)
        libc.syscall(_ADD_RULE, rules, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(folder)
