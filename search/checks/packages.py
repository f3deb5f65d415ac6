"""Installed packages against those this repository is pinned to."""

import importlib.metadata
import platform
import tomllib
from collections.abc import Iterator
from pathlib import Path

from search.checks.finding import INSTALL, Finding, count

ROOT = Path(__file__).parents[2]


def packages() -> Iterator[Finding]:
    """The direct dependencies, and Python."""
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    python, wanted = platform.python_version(), project["requires-python"]
    if python not in SpecifierSet(wanted, prereleases=True):
        yield Finding("error", f"Python {python} is none of {wanted}", "make search PYTHON=python3.11, in a new .venv")
    pinned_to = pins()
    wrong, other = [], []
    direct = [Requirement(line) for line in project["dependencies"]]
    for requirement in direct:
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is not installed")
            continue
        pinned = pinned_to.get(requirement.name)
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version} is none of {requirement.specifier}")
        elif pinned and version.partition("+")[0] != pinned:
            other.append(f"{requirement.name} {version} (pinned: {pinned})")
    if wrong:
        yield Finding("error", ", ".join(wrong), INSTALL)
    if other:
        yield Finding("warning", f"not as tested: {', '.join(other)}", INSTALL)
    if not wrong and not other:
        yield Finding("ok", f"Python {python}, {count(len(direct), 'package')} as pinned")


def pins() -> dict[str, str]:
    """The version of each package that is pinned for this Python."""
    from packaging.requirements import Requirement

    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pinned = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {
        each.name: next(iter(each.specifier)).version
        for each in pinned
        if each.marker is None or each.marker.evaluate()
    }
