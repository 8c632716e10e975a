"""Tries, from inside a sandbox, what must not work there, and writes what happened. Run by
`mlagent doctor`.

Every canary is harmless where it succeeds: sockets are created and never used to send, at most a
few hundred processes and megabytes are asked for, and all of it ends with this process.
config.json names the mode: `probe` runs the quiet canaries and writes result.json {name: [ok,
detail]}; the other modes are meant to be killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import mmap
import os
import platform
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CALLS = {  # name: number on x86_64, on aarch64
    "ptrace": (101, 117),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "unshare": (272, 97),
    "mount": (165, 40),
    "add_key": (248, 217),
}


def status_field(name: str) -> str:
    """One field of /proc/self/status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return line.split(":", 1)[1].strip()
    return "absent"


def refused(action: Callable[[], Any]) -> tuple[bool, str]:
    """True when `action` raises OSError; the detail is the error's name."""
    try:
        action()
    except OSError as problem:
        return True, errno.errorcode.get(problem.errno or 0, str(problem))
    return False, "worked"


def connect_somewhere() -> Any:
    """A TCP connection to a documentation address (RFC 5737) and to a cloud's metadata address."""
    for family, address in (
        (socket.AF_INET, ("192.0.2.1", 80)),
        (socket.AF_INET, ("169.254.169.254", 80)),
        (socket.AF_INET6, ("2001:db8::1", 80)),
    ):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(1)
            with contextlib.suppress(OSError):
                probe.connect(address)
                return
    raise OSError(errno.ENETUNREACH, "no way out")


def interfaces() -> tuple[bool, str]:
    lines = Path("/proc/net/dev").read_text().splitlines()[2:]
    names = [line.split(":")[0].strip() for line in lines]
    with contextlib.suppress(OSError):
        up = [n for n in names if int(Path(f"/sys/class/net/{n}/flags").read_text(), 16) & 1]
        return up in ([], ["lo"]), f"up: {', '.join(up) or 'none'}"
    return names == ["lo"], ", ".join(names)


def system_calls() -> tuple[bool, str]:
    place = {"x86_64": 0, "aarch64": 1}.get(platform.machine())
    if place is None:
        return False, f"not known for {platform.machine()}"
    libc = ctypes.CDLL(None, use_errno=True)
    open_ones = []
    for name, numbers in CALLS.items():
        ctypes.set_errno(0)
        # Harmless where allowed: a pid that cannot exist, bad pointers, a namespace of our own.
        argument = {"unshare": 0x10000000, "ptrace": 16}.get(name, -1)
        result = libc.syscall(numbers[place], argument, 0x3FFFFFFF, 0, 0, 0)
        if result != -1 or ctypes.get_errno() != errno.EPERM:
            open_ones.append(f"{name} ({errno.errorcode.get(ctypes.get_errno(), 'worked')})")
    return not open_ones, ", ".join(open_ones) or "all EPERM"


def old_calls() -> tuple[bool, str]:
    """A 32-bit `int 0x80` getpid in a child: the profile must kill it (it would slip under the
    socket filter).
    """
    if platform.machine() != "x86_64":
        return True, "not applicable"
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
            page.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # mov eax, 20; int 0x80; ret
            address = ctypes.addressof(ctypes.c_char.from_buffer(page))
            ctypes.CFUNCTYPE(ctypes.c_int)(address)()
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code == -signal.SIGSYS, f"child ended with {code}"


def processes() -> tuple[bool, str]:
    """Fork until refused, at most 300 times."""
    children = []
    stopped = ""
    for _ in range(300):
        try:
            child = os.fork()
        except OSError as problem:
            stopped = errno.errorcode.get(problem.errno or 0, "")
            break
        if not child:
            signal.pause()
            os._exit(0)
        children.append(child)
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return bool(stopped), f"{len(children)} forks, then {stopped or 'no limit met'}"


def fill(folder: Path, megabytes: int) -> tuple[bool, str]:
    """Write up to `megabytes`, one file each (no single file is too large); must meet ENOSPC
    before.
    """
    written: list[Path] = []
    try:
        for index in range(megabytes):
            written.append(folder / f"fill_{index}.bin")
            written[-1].write_bytes(bytes(1 << 20))
    except OSError as problem:
        name = errno.errorcode.get(problem.errno or 0, "")
        return name == "ENOSPC", f"{name} after {len(written) - 1} MB"
    finally:
        for path in written:
            path.unlink(missing_ok=True)
    return False, f"{megabytes} MB were written"


def many_files(folder: Path, number: int) -> tuple[bool, str]:
    made = []
    try:
        for index in range(number):
            path = folder / f"tiny_{index}"
            path.touch()
            made.append(path)
    except OSError as problem:
        return True, f"{errno.errorcode.get(problem.errno or 0)} after {len(made)} files"
    finally:
        for path in made:
            path.unlink()
    return False, f"{number} files were made"


def readonly() -> tuple[bool, str]:
    places = ("/", "/etc", "/opt/venv", "/in", "/usr/lib", "/var/tmp", "/sys", "/proc/sys/kernel")
    writable = []
    for place in places:
        with contextlib.suppress(OSError):
            path = Path(place, ".mlagent-canary")
            path.touch()
            path.unlink()
            writable.append(place)
    return not writable, f"writable: {', '.join(writable)}" if writable else "all refused"


def environment(allowed: dict[str, str]) -> tuple[bool, str]:
    image = {"PATH", "LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE", "HOSTNAME", "LC_CTYPE", "PWD"}
    image |= {"_", "SHLVL", "OLDPWD", "MLAGENT_DIE_WITH_PARENT", "HOME", "TMPDIR"}
    extra = sorted(
        name
        for name, value in os.environ.items()
        if allowed.get(name) != value and name not in image
    )
    return not extra, f"more than allowed: {', '.join(extra)}" if extra else "only what we set"


def sockets() -> tuple[bool, str]:
    open_ones = []
    for name, family, kind in (
        ("vsock", 40, socket.SOCK_STREAM),
        ("netlink", 16, socket.SOCK_RAW),
        ("packet", 17, socket.SOCK_RAW),
        ("alg", 38, socket.SOCK_SEQPACKET),
        ("raw", socket.AF_INET, socket.SOCK_RAW),
    ):
        with contextlib.suppress(OSError):
            socket.socket(family, kind).close()
            open_ones.append(name)
    return not open_ones, f"open: {', '.join(open_ones)}" if open_ones else "all refused"


def engine_socket() -> tuple[bool, str]:
    places = [p for p in ("/var/run/docker.sock", "/run/docker.sock") if Path(p).exists()]
    return not places, ", ".join(places) or "absent"


def probe(config: dict[str, Any], out: Path) -> dict[str, tuple[bool, str]]:
    canaries: dict[str, Callable[[], tuple[bool, str]]] = {
        "user": lambda: (os.getuid() != 0, f"uid {os.getuid()}"),
        "capabilities": lambda: (int(status_field("CapEff"), 16) == 0, status_field("CapEff")),
        "no new privileges": lambda: (
            status_field("NoNewPrivs") == "1",
            status_field("NoNewPrivs"),
        ),
        "seccomp": lambda: (status_field("Seccomp") == "2", status_field("Seccomp")),
        "network interfaces": interfaces,
        "network": lambda: refused(connect_somewhere),
        "name lookup": lambda: refused(lambda: socket.getaddrinfo("example.org", 80)),
        "socket families": sockets,
        "system calls": system_calls,
        "32-bit calls": old_calls,
        "read-only root": readonly,
        "engine socket": engine_socket,
        "environment": lambda: environment(config["environment"]),
        "process limit": processes,
        "output bytes": lambda: fill(out, config["output_mb"] + 8),
        "output files": lambda: many_files(out, config["output_files"] + 500),
        "scratch bytes": lambda: fill(Path("/tmp"), config["tmp_mb"] + 8),
    }
    results = {}
    for name in config["canaries"]:
        try:
            results[name] = canaries[name]()
        except Exception as problem:  # a canary that cannot run has not proved anything
            results[name] = (False, f"{type(problem).__name__}: {problem}")
    return results


def main(source: Path, out: Path) -> None:
    config = json.loads((source / "config.json").read_text())
    mode = config["mode"]
    if mode == "probe":
        (out / "result.json").write_text(json.dumps(probe(config, out)))
    elif mode == "memory":
        hoard = []
        for _ in range(config["memory_mb"] * 2):
            hoard.append(b"\x01" * (1 << 20))
        time.sleep(60)  # held until memory is looked at: a process tier looks now and then
        print("not killed")
    elif mode == "time":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)
    elif mode == "stdout":
        block = b"x" * (1 << 16)
        for _ in range(4096):
            sys.stdout.buffer.write(block)
        print("not stopped")
