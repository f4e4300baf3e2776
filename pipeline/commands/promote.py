"""Make the newest version the stable one, a canary for example, for clients that ask by label.

Who asks without a label is answered by the newest version anyway.
"""

import argparse
import os

from rich.console import Console

from components.errors import ConfigError
from components.serving import models_config, versions
from components.storage import paths
from pipeline import releases


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this verb."""
    releases.add_arguments(parser)
    releases.add_reason(parser)


def main(arguments: argparse.Namespace, console: Console) -> None:
    """Moves the label and says where it was.

    Raises:
        ConfigError: the newest version is stable already.
    """
    place, folder = releases.find(arguments)
    place.require_local()
    newest = versions.newest_version(folder)
    number = int(os.path.basename(newest))
    stable = models_config.labels(folder).get(models_config.STABLE)
    if stable == number:
        raise ConfigError(
            f"expected a version newer than the stable one; got {newest}, which is both; to fix, "
            "push another one, best with --set push.label=canary"
        )
    used = {"promoted": newest}
    before = paths.join(folder, str(stable))
    if paths.exists(before):
        used["stable"] = before
    with releases.recorded(arguments, place, "Promote", used) as given:
        models_config.label(folder, number, models_config.STABLE)
        given["pushed_model"] = releases.described(newest, models_config.STABLE)
    console.print(
        f"Stable now: {newest}, in place of {f'version {stable}' if stable else 'none'}",
        highlight=False,
        soft_wrap=True,
    )
