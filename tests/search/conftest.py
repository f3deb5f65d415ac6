from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from conf_document import DOCUMENT, dump

from search import conf


@pytest.fixture
def load(tmp_path):
    path = tmp_path / "mine.yaml"

    def load(document: Any = DOCUMENT, assignments=(), models=(), **changes):
        path.write_text(document if isinstance(document, str) else dump(document), encoding="utf-8")
        return conf.load(str(path), changes, assignments, models)

    return load


@pytest.fixture
def make() -> Iterator[Any]:
    """Makes proposers, and closes them."""
    from search.proposer import Proposer

    with ExitStack() as at_end:
        yield lambda *arguments, **more: at_end.enter_context(closing(Proposer(*arguments, **more)))
