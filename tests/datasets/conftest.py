from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datasets import decoded


@pytest.fixture
def opened(monkeypatch) -> list[Path]:
    """The files whose bytes are read, by where they really lie."""
    paths: list[Path] = []
    real = Path.read_bytes

    def noting(path: Path) -> bytes:
        paths.append(path.resolve())
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", noting)
    return paths


@pytest.fixture
def calls(monkeypatch) -> Callable[[], list[int]]:
    """The last bytes of the files that were decoded since the last call, sorted."""
    seen: list[int] = []
    real = decoded.decode

    def noting(content: bytes, side: int, fit: str) -> np.ndarray:
        seen.append(content[-1])
        return real(content, side, fit)

    monkeypatch.setattr(decoded, "decode", noting)

    def taken() -> list[int]:
        found = sorted(seen)
        seen.clear()
        return found

    return taken
