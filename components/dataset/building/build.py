"""Makes TFRecords of a data set: fetches what is missing, converts, writes them whole or not."""

import contextlib
import json
import os
import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from absl import logging
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from components.dataset import records
from components.dataset.building.layout import Layout, find_layout
from components.dataset.building.origin import origin
from components.errors import ConfigError, DataError, DownloadFailedError
from components.storage import folders
from components.storage.archives import ArchiveError, unpack
from components.storage.downloads import DownloadError, download
from schemas import Dataset

_ARCHIVE_ENDING = re.compile(r"\.(tar|tar\.gz|tgz|zip)$")
_SECONDS_BETWEEN_UPDATES = 0.5


def build(
    dataset: Dataset,
    splits: Sequence[str],
    folder: Path,
    *,
    source: Path | None,
    downloads: Path,
    shards: int | None = None,
    on_error: str = "fail",
    workers: int = 1,
    beam_args: Sequence[str] = (),
) -> dict:
    """Writes the TFRecords of `splits` to `folder`, unless it has the same already.

    Args:
        dataset: what to build.
        splits: names of its splits.
        folder: to make or replace.
        source: the data set's pictures; None downloads them.
        downloads: folder that archives are kept in and unpacked to.
        shards: files of each split; None is for `conversion.convert` to choose.
        on_error: `fail` or `skip`, see there.
        workers: threads of this machine.
        beam_args: options of a Beam pipeline, see there.

    Returns:
        The manifest.

    Raises:
        ConfigError: no such split, no address to download from, or nothing can be written.
        DataError: the pictures are not there, or findings among them.
        DownloadFailedError: an archive could not be fetched or unpacked.
    """
    described = dataset.source.splits if dataset.source else {}
    unknown = [split for split in splits if split not in described]
    if unknown:
        raise ConfigError(
            f"expected splits of {dataset.name}, {', '.join(described) or 'which has none'}; got "
            f"{', '.join(unknown)}; to fix, choose one, or describe it under [source.splits] in "
            f"the dataset.toml of {dataset.name}"
        )
    if source is None:
        with folders.disk_errors(downloads):
            source = fetch(dataset, splits, downloads)
    layout = pictures_in(dataset, source)
    digest = origin(layout, splits, {}, on_error, shards)
    if records.is_current(folder, digest):
        logging.info("%s has these records already", folder)
        # What lies beside the pictures does not make the records others, but may be new.
        manifest = json.loads((folder / folders.MANIFEST).read_text())
        return manifest | {"not_taken": layout.not_taken(splits)}
    # Imported here: TensorFlow and Beam take ten seconds, and what is wrong is said before.
    from components.dataset.building import conversion

    with _progress(folder, layout, splits):
        return conversion.convert(
            layout,
            splits,
            folder,
            source=digest,
            shards=shards,
            on_error=on_error,
            workers=workers,
            beam_args=beam_args,
        )


def fetch(dataset: Dataset, splits: Sequence[str], downloads: Path) -> Path:
    """Downloads and unpacks the archives that `splits` need; gives the folder they lie in.

    Raises:
        ConfigError: no archive of the data set is known.
        DownloadFailedError: one could not be fetched or unpacked.
    """
    archives = [
        archive
        for archive in dataset.source.archives
        if not archive.splits or set(archive.splits) & set(splits)
    ]
    if not archives:
        raise ConfigError(
            f"expected --source with the pictures of {dataset.title}; got none, and no address to "
            "download them from is known; to fix, add --source DIR"
        )
    unpacked = downloads / dataset.name
    for archive in archives:
        name = archive.urls[0].rsplit("/", 1)[-1]
        target = unpacked / _ARCHIVE_ENDING.sub("", name)
        if target.exists():
            continue
        try:
            file = download(
                archive.urls, downloads / name, size=archive.bytes, checksums=archive.checksums
            )
            unpack(file, target, max_bytes=archive.unpacked_bytes)
        except (DownloadError, ArchiveError) as error:
            raise DownloadFailedError(str(error)) from error
    return unpacked


def pictures_in(dataset: Dataset, folder: Path) -> Layout:
    """The layout of the data set in `folder`.

    Raises:
        DataError: it is not there, or cannot be read.
    """
    there = folders.is_folder(folder)
    layout = find_layout(dataset, folder) if there else None
    if layout is None:
        wanted = sorted(
            {pattern for split in dataset.source.splits.values() for pattern in split.images}
        )
        raise DataError(
            f"expected the pictures of {dataset.title} in {folder}, as {' and '.join(wanted)}; got "
            f"{'none there' if there else 'no such folder'}; to fix, give the folder "
            f"that holds them, or correct the dataset.toml of {dataset.name}"
        )
    return layout


@contextlib.contextmanager
def _progress(folder: Path, layout: Layout, splits: Sequence[str]) -> Iterator[None]:
    """A bar on the terminal while records grow, whatever engine writes them."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    pairs = [pair for split in splits for pair in layout.pairs(split)[0]]
    paths = [path for pair in pairs for path in (pair.image, pair.label)]
    total = sum(os.path.getsize(path) for path in paths if os.path.isfile(path))
    done = threading.Event()
    columns = TextColumn("records"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("records", total=total)

        def watch() -> None:
            while not done.wait(_SECONDS_BETWEEN_UPDATES):
                shards = folder.parent.glob(f".{folder.name}.*/*.tfrecord")
                with contextlib.suppress(FileNotFoundError):  # The folder has just been renamed.
                    bar.update(task, completed=sum(path.stat().st_size for path in shards))

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
