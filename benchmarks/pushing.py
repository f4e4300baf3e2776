"""What a push costs over copying the model: flushing, bill of materials, attestation, signature.

    python -m benchmarks.pushing MODEL

Each part by itself, on a copy of a pushed version, by turns, and `verify` without imports. Where
the disk answers a flush before it is done, as virtual ones may, flushing costs less here than it
would elsewhere.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable

from rich import box
from rich.console import Console
from rich.table import Table

from components.runtime import Signing
from components.serving import versions
from components.serving.signing import attestation, bill, files, keys, signer, verification
from components.storage import paths


def parts(model: str, folder: str) -> dict[str, Callable[[], object]]:
    """What a push does, in its order, each to be called again and again.

    Args:
        model: folder of a pushed version.
        folder: an empty one, on the disk that is measured.
    """
    version = os.path.join(folder, "7")
    keys.make_pair(os.path.join(folder, "keys"), None)
    signing = Signing(private_key=os.path.join(folder, "keys", keys.PRIVATE))
    known = versions.read_provenance(model)
    predicate = attestation.of_unknown(known)
    paths.copy_tree(model, version)
    digests = files.survey(version).digests

    def copy() -> None:
        shutil.rmtree(version)
        paths.copy_tree(model, version)

    def write_bill() -> None:
        text = bill.write("deeplab", known.content, digests, {})
        paths.write_text(os.path.join(version, files.BILL_FILE), text)

    def attest() -> None:
        text = attestation.write(files.survey(version).digests, predicate)
        paths.write_text(os.path.join(version, files.ATTESTATION_FILE), text)

    verifier = signer.own(signing)
    return {
        "copying": copy,
        "bill of materials": write_bill,
        "hashes and attestation": attest,
        "signature": lambda: signer.sign(version, signing),
        "flushing": lambda: paths.flush_tree(version),
        "verify": lambda: verification.examine(version, verifier),
    }


def main() -> None:
    """Prints milliseconds, medians of all rounds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="folder of a pushed version")
    parser.add_argument("--folder", default=".", help="on the disk that is measured")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    measured: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        calls = parts(arguments.model, folder)
        for _ in range(arguments.rounds):
            for name, call in calls.items():
                start = time.perf_counter()
                call()
                measured.setdefault(name, []).append(time.perf_counter() - start)
        size = sum(paths.size_and_time(path)[0] for path in paths.walk_files(f"{folder}/7"))
    table = Table(box=box.SIMPLE_HEAD, title=f"{size / 1e6:.1f} MB")
    table.add_column("part")
    table.add_column("ms", justify="right")
    for name, seconds in measured.items():
        table.add_row(name, f"{1e3 * statistics.median(seconds):.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
