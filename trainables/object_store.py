"""A search's place in an object store: S3, whatever speaks as it does, or Google's, through Apache Arrow's clients."""

import errno
import itertools
import os
import re
import socket
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from datasets.errors import UserError

_SCHEMES = {
    "s3": "see AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for another S3 than AWS's, AWS_ENDPOINT_URL",
    "gs": "see GOOGLE_APPLICATION_CREDENTIALS",
}
"""Object stores, each with where to look when one refuses or does not answer."""
_HOPELESS = re.compile("ACCESS_DENIED|PERMISSION_DENIED|NO_SUCH_BUCKET|INVALID_ACCESS_KEY_ID|SIGNATURE_DOES_NOT_MATCH")
_LONGEST_PAUSE = 8.0
_LONGEST_LINE = 200
_CHUNK = 2**26
_SIDE_BY_SIDE = 8
_T = TypeVar("_T")


def check_uri(uri: str) -> None:
    """Refuses a URI that names no bucket of an object store, or that has more in it than bucket and prefix.

    Raises:
        UserError: it does.
    """
    scheme, _, rest = uri.partition("://")
    shown = f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"
    bucket, *prefix = rest.rstrip("/").split("/")
    if scheme not in _SCHEMES:
        raise UserError(f"--storage {shown}: must be a folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX")
    if set(bucket) & set(":@") or "?" in rest:  # no bucket's name has them; a secret key itself may have a slash
        raise UserError(
            f"--storage {shown}: must be {scheme}://BUCKET/PREFIX, since it is kept with the results; of keys and "
            f"address {_SCHEMES[scheme]}"
        )
    if not bucket or not all(prefix):
        raise UserError(f"--storage {shown}: must be {scheme}://BUCKET/PREFIX, with nothing empty between slashes")


@dataclass(frozen=True)
class File:
    """What a listing of an object store says of a file."""

    name: str
    """Its last part."""
    size: int
    """Bytes."""
    modified: float
    """When it was written, seconds since the epoch by the store's own clock."""


@dataclass(frozen=True)
class ObjectStore:
    """A prefix in a bucket; each name is one below it. Whole files only: one that is there is complete.

    Keys come from the environment of each process, as the store's own tools take them. What fails for the network's
    sake, or the store's, is tried again by everything that ``Storage`` asks for.
    """

    uri: str
    """``s3://bucket/prefix`` or ``gs://bucket/prefix``."""
    patience: float = 30.0
    """How long that is tried again, seconds."""

    def check(self) -> None:
        """See ``Storage``."""
        from pyarrow.fs import FileType

        try:
            if not self._patiently(lambda: self._list("", recursive=False)):  # as of a bucket that is not there
                bucket = self._path("").partition("/")[0]
                with suppress(OSError):  # a key for the prefix alone may not ask
                    if self._filesystem.get_file_info(bucket).type == FileType.NotFound:
                        raise UserError(f"--storage {self.uri}: there is no bucket {bucket}; make it, or name another")
        except OSError as error:
            raise self.refusal(error) from None

    def refusal(self, error: OSError) -> UserError:
        """What is said where the store can't be used."""
        return UserError(
            f"--storage {self.uri}: {in_short(error)}, from {socket.gethostname()}; {_SCHEMES[self._scheme]}"
        )

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """See ``Storage``. Where the upload breaks off, some files may be there under a name that nobody was told."""
        with tempfile.TemporaryDirectory(prefix="rungs-") as folder:
            yield Path(folder)
            self.remove(name)
            self._patiently(lambda: self.upload(Path(folder), name))

    @contextmanager
    def reading(self, name: str) -> Iterator[Path]:
        """See ``Storage``; a copy, as long as the context lasts."""
        with tempfile.TemporaryDirectory(prefix="rungs-") as folder:
            self._patiently(lambda: self.download(name, Path(folder)))
            yield Path(folder)

    def remove(self, name: str) -> None:
        """See ``Storage``."""
        if self._patiently(lambda: self._list(name)):
            with suppress(FileNotFoundError):
                self._patiently(lambda: self._filesystem.delete_dir(self._path(name)))

    def names(self, parent: str) -> list[str]:
        """See ``Storage``."""
        found = self._patiently(lambda: self._list(parent))
        return sorted({f"{parent}/{self._below(one.path, parent).partition('/')[0]}" for one in found})

    def files(self, name: str) -> list[File]:
        """The files under a name, in the order of theirs, without those of folders below; none where nothing is."""
        found = [one for one in self._list(name, recursive=False) if one.is_file]
        return sorted((File(one.base_name, one.size, one.mtime_ns / 1e9) for one in found), key=lambda file: file.name)

    def read(self, name: str) -> bytes:
        """A file.

        Raises:
            OSError: it is not there, or can't be had.
        """
        with self._filesystem.open_input_file(self._path(name)) as file:
            return bytes(file.read())

    def read_all(self, names: Iterable[str]) -> list[bytes]:
        """Files, several at a time; see ``read``."""
        return _side_by_side(self.read, names)

    def write(self, name: str, content: bytes) -> None:
        """Writes a file, whole or not at all; what was there before is replaced.

        Raises:
            OSError: the store can't be reached, or refuses.
        """
        with self._filesystem.open_output_stream(self._path(name)) as file:
            file.write(content)

    def upload(self, folder: Path, name: str = "", without: Collection[str] = ()) -> None:
        """Copies a folder's files, with those of folders below, but for what ``without`` names right in it.

        Raises:
            OSError: the store can't be reached, or refuses.
        """
        from pyarrow.fs import LocalFileSystem, copy_files

        here, there = LocalFileSystem(), self._filesystem

        def copy(path: Path) -> None:
            target = self._path(f"{name}/{path.relative_to(folder).as_posix()}")
            copy_files(str(path), target, source_filesystem=here, destination_filesystem=there, chunk_size=_CHUNK)

        paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
        _side_by_side(copy, [path for path in paths if path.relative_to(folder).parts[0] not in without])

    def download(self, name: str, folder: Path, without: Collection[str] = ()) -> None:
        """Copies the files under a name into a folder, with those of folders below, but for ``without``.

        Raises:
            OSError: there are none, or the store can't be reached.
        """
        found = [one.path for one in self._list(name) if one.is_file]
        if not found:
            raise FileNotFoundError(errno.ENOENT, "nothing is there", f"{self.uri}/{name}")

        def copy(path: str) -> None:
            target = folder / self._below(path, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            with self._filesystem.open_input_file(path) as source, target.open("wb") as file:
                while chunk := source.read(_CHUNK):
                    file.write(chunk)

        _side_by_side(copy, [path for path in found if self._below(path, name).partition("/")[0] not in without])

    @property
    def _scheme(self) -> str:
        return self.uri.partition("://")[0]

    @property
    def _filesystem(self) -> Any:
        bucket = self.uri.partition("://")[2].partition("/")[0]
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        return _connected(self._scheme, bucket, endpoint)

    def _path(self, name: str) -> str:
        """As pyarrow has it: bucket, prefix and name, without the scheme."""
        return f"{self.uri.partition('://')[2]}/{name}".replace("//", "/").rstrip("/")

    def _below(self, path: str, name: str) -> str:
        return path.removeprefix(f"{self._path(name)}/")

    def _list(self, name: str, *, recursive: bool = True) -> list[Any]:
        """Arrow's ``FileInfo`` of what is below a name; of folders S3 has some, and Google's store none."""
        from pyarrow.fs import FileSelector

        selector = FileSelector(self._path(name), recursive=recursive, allow_not_found=True)
        found: list[Any] = self._filesystem.get_file_info(selector)
        return found

    def _patiently(self, call: Callable[[], _T]) -> _T:
        until = time.monotonic() + self.patience
        for exponent in itertools.count(-1):
            pause = min(2.0**exponent, _LONGEST_PAUSE)
            try:
                return call()
            except OSError as error:  # of this node's own files it has a number, and of what is not there
                if error.errno is not None or _HOPELESS.search(str(error)) or time.monotonic() + pause > until:
                    raise
            time.sleep(pause)
        raise AssertionError


@cache
def _connected(scheme: str, bucket: str, endpoint: str | None) -> Any:
    """Arrow's file system of a bucket, once a process; it takes keys from the environment itself.

    It tries twice by itself: for less than a second where nobody listens, for some twenty where who does is silent.
    """
    from pyarrow import fs

    if scheme == "gs":
        from datetime import timedelta

        return fs.GcsFileSystem(retry_time_limit=timedelta(seconds=10))
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    return fs.S3FileSystem(
        endpoint_override=endpoint,
        region=region if endpoint else fs.resolve_s3_region(bucket),
        allow_delayed_open=True,  # one request for a file that is not large, instead of three
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=2),
    )


def in_short(error: Exception) -> str:
    """One line for people of what an object store's client says in five."""
    text = str(error).partition("\n")[0].rpartition("with a last message of ")[2]
    if found := re.search(r"AWS Error (\w+).*?: (?:curlCode: \d+, )?([^;(]*)", text):
        return f"{found[1].lower().replace('_', ' ')}: {found[2].strip(' .')}".removesuffix(": ")
    return text if len(text) <= _LONGEST_LINE else f"{text[:_LONGEST_LINE]}…"


def _side_by_side(call: Callable[[Any], _T], items: Iterable[Any]) -> list[_T]:
    """In some threads: most of each call is waiting for the store."""
    several = list(items)
    if len(several) < 2:
        return [call(item) for item in several]
    with ThreadPoolExecutor(min(_SIDE_BY_SIDE, len(several))) as threads:
        return list(threads.map(call, several))
