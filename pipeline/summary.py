"""The end of a run on the terminal: scores, verdict and why, where everything lies, times."""

import math
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from components.errors import NotBlessedError
from components.evaluator.results import Evaluation, load_evaluation
from components.metadata import Step
from components.serving import versions as served


def conclude(console: Console, steps: dict[str, Step], output: Path, serving_dir: Path) -> None:
    """Prints the summary of a finished run.

    Args:
        console: where to print.
        steps: of the run, by node, see `components.metadata`.
        output: the root of everything the run wrote.
        serving_dir: the folder of the versions of the served model.

    Raises:
        NotBlessedError: the candidate was refused, with the reasons.
        PipelineError: the model was pushed by an earlier run, and is not what is served now.
    """
    if "Evaluator" in steps:
        evaluation = load_evaluation(steps["Evaluator"].outputs["evaluation"][0].uri)
        console.print(_scores(evaluation))
    console.print(_times(steps))
    for label, place in _places(steps, output):
        console.print(f"{label:<12} {place}", highlight=False, soft_wrap=True)
    if "Pusher" not in steps:
        console.print("Verdict      none: the run was told to stop before the Pusher")
        return
    if not evaluation.blessed:
        raise NotBlessedError("; ".join(evaluation.reasons) + "; nothing was pushed")
    if steps["Pusher"].state != "cached":
        console.print("[green]Verdict      blessed, proven to serve and pushed[/green]")
        return
    pushed = steps["Pusher"].outputs["pushed_model"][0].properties["pushed_destination"]
    served.require_newest(Path(pushed), serving_dir)
    console.print(
        "[green]Verdict      blessed; this very model is pushed already, nothing new[/green]"
    )


def _scores(evaluation: Evaluation) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("%")
    for column in ("candidate", "baseline", "change"):
        table.add_column(column, justify="right")
    names = ["mean_iou", "pixel_accuracy"]
    names += [name for name in evaluation.candidate if name.startswith("iou/")]
    for name in names:
        value = evaluation.candidate[name]
        base = (evaluation.baseline or {}).get(name, math.nan)
        if math.isnan(value):
            continue
        label = name.removeprefix("iou/").replace("mean_iou", "mean IoU").replace("_", " ")
        cells = [f"{100 * value:.1f}"]
        cells += (
            ["–", "–"]
            if math.isnan(base)
            else [f"{100 * base:.1f}", f"{100 * (value - base):+.1f}"]
        )
        table.add_row(label, *cells, style="bold" if name == "mean_iou" else "")
    return table


def _times(steps: dict[str, Step]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("step")
    table.add_column("seconds", justify="right")
    for step in sorted(steps.values(), key=lambda step: step.execution_id):
        table.add_row(step.node_id, "cached" if step.state == "cached" else f"{step.seconds:.1f}")
    return table


def _places(steps: dict[str, Step], output: Path) -> list[tuple[str, str]]:
    places = []
    if "Pusher" in steps:
        pushed = steps["Pusher"].outputs["pushed_model"][0].properties
        if pushed.get("pushed"):
            places.append(("Model", pushed["pushed_destination"]))
    if "Report" in steps:
        page = Path(steps["Report"].outputs["page"][0].uri, "index.html")
        places.append(("Pictures", str(page)))
    if "Trainer" in steps:
        run = steps["Trainer"].outputs["model_run"][0].uri
        places.append(("TensorBoard", f"tensorboard --logdir {run}"))
    places.append(("Metadata", str(output / "metadata.sqlite")))
    return places
