"""What workers on other machines need of this one: the code in the working directory, the environment."""

import json
import os
from pathlib import Path
from typing import Any

from datasets.errors import UserError

_OF_TUNES_ACTORS = ("AWS_", "NCCL_", "RAY_CHDIR_", "RAY_TRAIN_", "TORCHFT_", "TRAIN_")
"""What variables begin with that Tune would give its actors (``ray.tune.execution.class_cache``), each of which would
then start processes of its own, and those that stores need. Tune is not asked: another thread is importing it."""
_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""What Ray's job agent gives the driver of a submitted job, under this very name."""


def in_job() -> bool:
    """Whether this is the driver of a job that was submitted (``ray job submit``)."""
    return _JOB in os.environ


def runtime_env(folder: Path, others: int, grows: bool) -> tuple[dict[str, Any], str]:
    """Ray's runtime environment of a search that joins a cluster, and what to say of it, if anything.

    ``folder`` is shipped, without what its .gitignore names, where there are ``others``, nodes that is, or there may be
    (``grows``); not from a submitted job, whose own environment has its working directory.

    Raises:
        UserError: it is larger than what Ray ships.
    """
    given = json.loads(os.environ[_JOB]).get("runtime_env") or {} if in_job() else {}
    variables = {"PL_DISABLE_FORK": "1"} | {
        name: value
        for name, value in os.environ.items()
        if name.startswith(_OF_TUNES_ACTORS) and not value.startswith("/")
    }
    variables = {name: value for name, value in variables.items() if name not in given.get("env_vars", {})}
    env: dict[str, Any] = {"env_vars": variables}
    if in_job() or not (others or grows):
        return env, ""
    size = _size(folder)
    to = " and ".join([*([f"{others} nodes"] if others else []), *(["each that joins"] if grows else [])])
    return env | {"working_dir": str(folder)}, f"ships {size / 1e6:.1f} MB of code to {to}"


def _size(folder: Path) -> int:
    """Bytes that Ray ships of a folder, before it packs them."""
    from ray._private.ray_constants import get_runtime_env_default_excludes
    from ray._private.runtime_env.packaging import GCS_STORAGE_MAX_SIZE, _dir_travel, _get_excludes

    size = 0

    def add(path: Path) -> None:
        nonlocal size
        size += path.stat().st_size if path.is_file() else 0
        if size >= GCS_STORAGE_MAX_SIZE:
            raise UserError(
                f"{folder}: has more than the {GCS_STORAGE_MAX_SIZE / 1e6:.0f} MB of code that Ray ships to other "
                "nodes; name what trials do not need in its .gitignore or .rayignore"
            )

    _dir_travel(folder, [_get_excludes(folder, get_runtime_env_default_excludes())], add, include_gitignore=True)
    return size
