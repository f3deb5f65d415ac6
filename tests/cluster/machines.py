"""Machines with an sshd each, on a network of their own: namespaces of this one, which vanish with their first process.

They share this machine's files, but for the home folder and /tmp, and nothing of its or each other's processes and
ports: ``ray stop``, which ends all of a machine's Ray, ends only theirs.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOOLS = ("setpriv", "unshare", "nsenter", "ip", "sshd", "ssh", "ssh-keygen", "rsync")
_PATH = f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# A /tmp of its own, in which what is needed of this machine's stays where it was.
_START = """
folder=$1
basename "$folder" > /proc/sys/kernel/hostname
mount --bind "$folder/passwd" /etc/passwd
mount -t tmpfs tmpfs /run
mkdir /run/sshd /run/kept
for path in "$@"; do mkdir -p "/run/kept$path"; mount --bind "$path" "/run/kept$path"; done
mount -t tmpfs -o mode=1777 tmpfs /tmp
for path in "$@"; do mkdir -p "$path"; mount --bind "/run/kept$path" "$path"; done
ip link set lo up
echo ready
read -r _
exec "$(command -v sshd)" -D -e -f "$folder/sshd_config"
"""


def lacking() -> str:
    """Why there can be no machines here, empty where there can."""
    missing = [tool for tool in TOOLS if shutil.which(tool, path=_PATH) is None]
    if missing:
        return f"needs {', '.join(missing)}"
    if os.geteuid() != 0:
        return "needs root, for namespaces"
    if subprocess.run(["unshare", "--net", "--pid", "--mount", "--fork", "true"], capture_output=True).returncode:
        return "namespaces cannot be made here"
    return ""


@dataclass
class Machine:
    address: str
    home: Path
    process: subprocess.Popen[str]
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def pid(self) -> int:
        """Of its first process, as this machine sees it."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0])

    def start(self, *command: str) -> subprocess.Popen[str]:
        """A command there, in the repository's root."""
        inside = ["nsenter", "--target", str(self.pid), "--mount", "--net", "--pid", "--uts"]
        environment = {"PATH": _PATH, "HOME": str(self.home), "TERM": "dumb", "LC_ALL": "C.UTF-8", **self.variables}
        return subprocess.Popen(
            [*inside, "sh", "-c", 'cd "$0" && exec "$@"', str(ROOT), *command],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip

    def run(self, *command: str, check: bool = True) -> str:
        """What a command printed that was run there, in the repository's root."""
        with self.start(*command) as process:
            output, _ = process.communicate()
        assert not check or process.returncode == 0, output
        return output

    def processes(self) -> list[str]:
        """Command lines of all that runs there, sshd itself excepted."""
        lines = self.run("ps", "-Awwo", "args=").splitlines()
        return [line for line in lines if not line.startswith(("sshd:", "ps ")) and "sshd -D" not in line]


def _prepared(folder: Path, key: Path) -> None:
    (folder / "home").mkdir(parents=True)
    (folder / "passwd").write_text(
        f"root:x:0:0:root:{folder}/home:/bin/bash\nsshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n"
    )
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host_key"], check=True)
    (folder / "sshd_config").write_text(
        f"HostKey {folder}/host_key\nAuthorizedKeysFile {key}.pub\nStrictModes no\nPermitRootLogin yes\n"
        "PasswordAuthentication no\nUsePAM no\nPidFile none\n"
    )


def _needed(folder: Path) -> list[str]:
    """Folders below /tmp, none of them below another."""
    paths = {str(path) for path in (folder.parent, ROOT, Path(sys.prefix)) if path.is_relative_to("/tmp")}
    return sorted(paths)


@contextmanager
def _machine(folder: Path, key: Path, address: str) -> Iterator[Machine]:
    _prepared(folder, key)
    command = [
        "setpriv",
        "--pdeathsig",
        "KILL",
        "unshare",
        "--net",
        "--pid",
        "--mount",
        "--uts",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]
    log = (folder / "sshd.log").open("w")
    with log, subprocess.Popen(
        [*command, "bash", "-euc", _START, "machine", str(folder), *_needed(folder)],
        env={"PATH": _PATH}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready, (folder / "sshd.log").read_text()
        machine = Machine(address, folder / "home", process)
        try:
            yield machine
        finally:
            os.kill(machine.pid, signal.SIGKILL)  # and with it all that runs there


@contextmanager
def machines(folder: Path, names: Sequence[str]) -> Iterator[list[Machine]]:
    """One of each name, all opened by the key ``folder/key``; the first is the network's switch."""
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    with ExitStack() as running:
        found = [
            running.enter_context(_machine(folder / name, key, f"10.77.0.{number}"))
            for number, name in enumerate(names, 1)
        ]
        _connect(found)
        for machine in found:
            assert machine.process.stdin is not None
            machine.process.stdin.write("\n")
            machine.process.stdin.flush()
        yield found


def _connect(found: list[Machine]) -> None:
    def ip(machine: Machine, *arguments: str) -> None:
        inside = ["nsenter", "--target", str(machine.pid), "--net"]
        subprocess.run([*inside, "ip", *arguments], check=True, env={"PATH": _PATH})

    switch, *others = found
    ip(switch, "link", "add", "eth0", "type", "bridge")
    for number, machine in enumerate(others):
        ip(switch, "link", "add", f"port{number}", "type", "veth", "peer", "name", "eth0", "netns", str(machine.pid))
        ip(switch, "link", "set", f"port{number}", "master", "eth0", "up")
    for machine in found:
        ip(machine, "addr", "add", f"{machine.address}/24", "dev", "eth0")
        ip(machine, "link", "set", "eth0", "up")
        if machine is not switch:  # Ray asks which of its addresses leads out
            ip(machine, "route", "add", "default", "via", switch.address)
