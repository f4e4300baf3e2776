"""Which pictures are meant, what their masks are called, and their bytes as a model takes them."""

import contextlib
import dataclasses
import os
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from components import texts
from components.dataset.building.formats import endings
from components.errors import ConfigError
from components.storage import folders

_TAKEN_UNTOUCHED = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
"""JPEG and PNG, by how their files start; the model turns them upright itself."""


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """A picture file."""

    path: Path
    name: str
    """Its path below the folder that was asked for, with `/`, or the name of its file."""
    target: str
    """`name` without its ending, or with it where another picture has the same without."""


class PictureError(Exception):
    """What is wrong with one picture; no other is affected."""


def find(asked: Sequence[Path], without: Sequence[Path] = ()) -> tuple[list[Found], list[str]]:
    """All pictures that are asked for, each once.

    In a folder and those in it, everything whose name ends as that of a picture is one, links are
    followed, and hidden files are left out. A file that is named is taken whatever it is called.

    Args:
        asked: files and folders.
        without: folders that nothing is taken from: those that the masks go to.

    Returns:
        The pictures, in the order of `asked` and then by name, and the paths of files in folders
        that are not taken.

    Raises:
        ConfigError: one is not there, there is no picture, or two would have one name.
        DataError: a folder cannot be read.
    """
    known, places, not_taken = endings(), {}, []
    left_out = tuple(f"{os.path.realpath(folder)}{os.sep}" for folder in without)
    for path in asked:
        if not path.exists():
            raise ConfigError(
                f"expected a picture or a folder of them at {path}; got nothing there; to fix, "
                "give its path"
            )
        if not path.is_dir():
            places.setdefault(os.path.abspath(path), path.name)
            continue
        for file in sorted(folders.walk(str(path))):
            if f"{os.path.realpath(file)}".startswith(left_out):
                continue
            if Path(file).suffix.lower() in known:
                name = Path(os.path.relpath(file, path)).as_posix()
                places.setdefault(os.path.abspath(file), name)
            else:
                not_taken.append(file)
    if not places:
        raise ConfigError(
            f"expected pictures in {texts.listed([str(path) for path in asked])}; got no file that "
            f"ends with one of {', '.join(known)}; to fix, give another folder"
        )
    names = list(places.values())
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ConfigError(
            f"expected pictures of different names; got {texts.listed(sorted(twice))} from more "
            "than one folder; to fix, give the folder above them, or another --to for each"
        )
    found = zip(places, names, targets(names), strict=True)
    return [Found(Path(path), name, target) for path, name, target in found], not_taken


def targets(names: Sequence[str]) -> list[str]:
    """What the results of pictures are called, but for their own ending: all different.

    Args:
        names: of the files, all different.

    Returns:
        For each its name without the ending, where no other picture's result has that, too.
    """
    short = {name: os.path.splitext(name)[0] for name in names}
    while True:
        counts = Counter(short.values())
        clashing = [n for n, target in short.items() if counts[target] > 1 and target != n]
        if not clashing:
            return [short[name] for name in names]
        short |= {name: name for name in clashing}


def read(path: Path) -> bytes:
    """The content of a file.

    Raises:
        PictureError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(error) from error


def unreadable(error: OSError) -> PictureError:
    """What to raise where the system does not let a picture be read."""
    return PictureError(f"expected a file that can be read, got {error.strerror}")


def as_served(encoded: bytes) -> bytes:
    """A picture file as the model takes it: other kinds as the PNG that `build` makes of them.

    Raises:
        PictureError: it is no picture.
    """
    if encoded.startswith(_TAKEN_UNTOUCHED):
        return encoded
    # Imported here: it needs TensorFlow's Python, which JPEG and PNG files do without.
    from components.dataset.building.picture_files import ProblemError, record_picture

    try:
        return record_picture(encoded).encoded
    except ProblemError as error:
        detail = str(error.args[1])
        said = detail if detail.startswith("expected ") else f"expected a whole file, got {detail}"
        raise PictureError(said) from error


@contextlib.contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """A file to write to that gets its name when the context ends well, and vanishes if not.

    Raises:
        ConfigError: nothing can be written there.
    """
    part = target.with_name(f".{uuid.uuid4().hex}.part")
    with folders.disk_errors(target):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            yield part
            os.replace(part, target)
        except (FileExistsError, IsADirectoryError) as error:
            raise folders.not_writable(target, f"{error.filename}, which is in the way") from error
        finally:
            # Where the folder itself is in the way, there is no part.
            with contextlib.suppress(NotADirectoryError):
                part.unlink(missing_ok=True)


def write(target: Path, content: bytes) -> None:
    """Writes a result, whole or not at all, in place of what was there.

    Raises:
        ConfigError: nothing can be written there.
    """
    with appearing(target) as part:
        part.write_bytes(content)
