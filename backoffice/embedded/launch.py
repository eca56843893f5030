"""Started as a script between us and a server: give up root, keep one capability, then become the server.

    python -I -S launch.py <json> <program> <arguments…>

A script of its own, since code run between fork and exec may deadlock in a process that has threads. It uses
nothing but the standard library.
"""

import ctypes
import json
import os
import sys

_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
_CAPABILITY_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Data(ctypes.Structure):
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


def _become(
    user: int | None, group: int, capability: int | None, dies_with_parent: int | None, parent: int
) -> None:
    libc = ctypes.CDLL(None, use_errno=True)

    def checked(result: int) -> None:
        if result != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    if user is not None:
        if capability is not None:
            checked(libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)
    if capability is not None:
        mask = 1 << capability
        data = (_Data * 2)(_Data(mask, mask, mask), _Data(0, 0, 0))
        checked(libc.capset(ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), data))
        checked(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0))
    if dies_with_parent is not None and sys.platform == "linux":
        checked(libc.prctl(_PR_SET_PDEATHSIG, dies_with_parent, 0, 0, 0))  # after setuid, which clears it
        if os.getppid() != parent:  # it died before we asked to be told
            sys.exit(1)


if __name__ == "__main__":
    os.umask(0o077)
    _become(**json.loads(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
