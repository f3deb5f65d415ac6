"""What may stand in a tracking URI, and what of it is shown."""

import pytest

from datasets.errors import UserError
from search import tracking


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://rungs:hidden@db/rungs", "postgresql://rungs:***@db/rungs"),
        ("postgresql+psycopg://rungs:hid/d:en@db:5432/rungs", "postgresql+psycopg://rungs:***@db:5432/rungs"),
        ("postgresql://rungs:hid@den@db/rungs?sslmode=require", "postgresql://rungs:***@db/rungs?sslmode=require"),
        ("postgresql://db/rungs?user=rungs&password=hidden&x=y", "postgresql://db/rungs?user=rungs&password=***&x=y"),
        ("http://admin:hidden@mlflow.example:5000", "http://***@mlflow.example:5000"),
        ("https://hidden@mlflow.example/path", "https://***@mlflow.example/path"),
    ],
)
def test_a_password_in_a_uri_is_refused_and_not_shown(uri: str, shown: str) -> None:
    assert tracking.masked(uri) == shown
    with pytest.raises(UserError) as error:
        tracking.check(uri)
    assert str(error.value).startswith(f"--tracking-uri {shown}: leave the password out")
    assert "hid" not in str(error.value)


@pytest.mark.parametrize(
    "uri",
    ["sqlite:////a/b:c@d.db", "postgresql://rungs@db/rungs", "postgresql:///rungs?host=/run/a:b@c",
     "http://mlflow.example:5000/a@b", "postgresql://db:5432/rungs"],
)  # fmt: skip
def test_a_uri_without_one_is_left_as_it_is(uri: str) -> None:
    assert tracking.masked(uri) == uri
