"""Verify a pushed version: who signed it, and whether it is what was pushed, to the last byte.

Exits with 0 where all holds that can be checked; 5 where something does not; 2 where the signature
cannot be checked because nobody has said whose it should be.
"""

import argparse
import os

from rich.console import Console

from components.errors import ConfigError, VerificationError
from components.serving import models_config, versions
from components.storage import paths
from pipeline import releases


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this verb."""
    parser.add_argument(
        "version",
        nargs="?",
        metavar="VERSION",
        help="its number, its label, or the path of its folder, whose name is its number; the "
        "served one by default",
    )
    releases.add_arguments(parser)
    signer = parser.add_mutually_exclusive_group()
    signer.add_argument("--public-key", metavar="FILE", help="of whoever should have signed it")
    signer.add_argument(
        "--certificate-chain",
        metavar="FILE",
        action="append",
        help="certificates that the signer's own is to lead to; may be repeated",
    )
    signer.add_argument(
        "--identity", help="of whoever should have signed it by Sigstore; with --issuer"
    )
    parser.add_argument("--issuer", help="who vouches for --identity: an OpenID Connect provider")


def main(arguments: argparse.Namespace, console: Console) -> None:
    """Prints what holds, what does not, and what could not be checked.

    Raises:
        ConfigError: there is no such version or key, or the version is signed and no key was given.
        VerificationError: something does not hold; all of it was printed.
        DownloadFailedError: Sigstore's roots of trust can be neither fetched nor found.
    """
    if (arguments.identity is None) != (arguments.issuer is None):
        raise ConfigError(
            "expected --identity and --issuer together; got one of them; to fix, give both"
        )
    version = _find(arguments)
    # Imported here: what is wrong with the arguments is said before.
    from components.serving.signing import signature, verification

    verifier = None
    if arguments.public_key is not None:
        verifier = signature.by_public_key(paths.absolute(arguments.public_key))
    elif arguments.certificate_chain is not None:
        chain = list(map(paths.absolute, arguments.certificate_chain))
        verifier = signature.by_certificates(chain)
    elif arguments.identity is not None:
        verifier = signature.by_identity(arguments.identity, arguments.issuer)
    found = verification.examine(version, verifier)
    lines = [f"Version {os.path.basename(version)}, {version}"]
    for mark, sentences in (("holds", found.holds), ("unknown", found.unknown)):
        lines += [f"{mark:>8}: {sentence}" for sentence in sentences]
    lines += [f"{'FAULT':>8}: {sentence}" for sentence in found.faults]
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
    if found.faults:
        more = f" and {len(found.faults) - 1} more" if found.faults[1:] else ""
        raise VerificationError(
            f"expected version {os.path.basename(version)} as it was pushed; got this: "
            f"{found.faults[0]}{more}; to fix, do not serve it: go back to one that holds, or push "
            "again"
        )
    if found.signer and verifier is None:
        raise ConfigError(
            f"expected whose signature is to be taken; got none, and one of {found.signer}; to "
            "fix, give --public-key, --certificate-chain, or --identity and --issuer"
        )


def _find(arguments: argparse.Namespace) -> str:
    """The folder of the version that is meant, without following links."""
    wanted = arguments.version
    if wanted is not None and _is_path(wanted):
        path = paths.absolute(wanted).rstrip("/")
        if paths.is_folder(path):
            return path
        raise ConfigError(
            f"expected the folder of a version; got {path}, where none is; to fix, give another "
            "path, or the version's number"
        )
    _, folder = releases.find(arguments)
    if wanted is None:
        return versions.newest_version(folder)
    labels = models_config.labels(folder)
    number = str(labels.get(wanted, wanted))
    known = {os.path.basename(path): path for path in versions.numbered(folder)}
    if number in known:
        return known[number]
    raise ConfigError(
        f"expected a version in {folder}, one of {', '.join([*known, *sorted(labels)])}; got "
        f"{wanted}; to fix, choose one by `python -m pipeline history`"
    )


def _is_path(wanted: str) -> bool:
    """Whether a folder is meant, and not a number or a label, which come first."""
    is_name = wanted.isdecimal() or wanted in (models_config.STABLE, models_config.CANARY)
    return os.sep in wanted or (not is_name and os.path.isdir(wanted))
