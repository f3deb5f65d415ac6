"""Under what a search ran: the code's commit and the installed versions."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path

_PACKAGES = ("ray", "torch", "torchvision", "optuna", "mlflow", "numpy", "scipy", "scikit-learn", "pandas", "pillow")


def git_state() -> tuple[str | None, bool | None]:
    """The commit of the code, and whether files differ from it; (None, None) outside a git checkout."""
    try:
        return _git("rev-parse", "HEAD"), bool(_git("status", "--porcelain"))
    except (OSError, subprocess.CalledProcessError):
        return None, None


def _git(*arguments: str) -> str:
    root = Path(__file__).parent.parent
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)  # noqa: S607
    return done.stdout.strip()


def installed() -> str:
    """Every installed package with its version, in the form of a requirements file."""
    found = importlib.metadata.distributions()
    return "\n".join(sorted({f"{package.metadata['Name']}=={package.version}" for package in found})) + "\n"


def installed_versions() -> dict[str, str]:
    """Python's and the packages' versions; a package that is not installed is left out."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
