"""What a person sees while files are converted and judged; see `components.trainer.progress`."""

from absl import logging

from components.trainer.progress import PROGRESS


def judging(done: int, total: int) -> None:
    """Says how many pictures have been judged."""
    PROGRESS.info("picture %d/%d", done, total, extra={"step": done, "steps": total})


def converting(kind: str) -> None:
    """Says which file is being made."""
    logging.info("Converting to %s", kind)
