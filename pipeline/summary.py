"""The end of a run on the terminal: scores, verdict and why, where everything lies, times."""

import json
import math
import shlex

from rich import box
from rich.console import Console
from rich.table import Table

from components import texts
from components.data_gate import report
from components.errors import NotBlessedError
from components.evaluator.results import Evaluation, load_evaluation
from components.metadata.runs import Step
from components.report import advice
from components.serving import models_config, succession
from components.storage import paths
from components.tflite.results import TFLiteReport
from components.trainer import history


def conclude(console: Console, steps: dict[str, Step], metadata: str, serving_dir: str) -> None:
    """Prints the summary of a finished run.

    Args:
        console: where to print.
        steps: of the run, by node, see `components.metadata.runs`.
        metadata: where the run is recorded; empty where it is not.
        serving_dir: the folder of the versions of the served model.

    Raises:
        NotBlessedError: the candidate was refused, with the reasons.
        PipelineError: the model was pushed, by this run or an earlier one, and is not what a
            server would answer with now.
    """
    warnings = []
    if "Evaluator" in steps:
        evaluation = load_evaluation(steps["Evaluator"].outputs["evaluation"][0].uri)
        console.print(_scores(evaluation))
        warnings += [("Doubt", line) for line in evaluation.warnings]
    if "Trainer" in steps:
        states = history.read(_uri(steps, "Trainer", "model_run"))
        warnings += [("Training", line) for line in advice.advise(states)]
    console.print(_times(steps))
    for label, place in [*_places(steps, metadata), *warnings]:
        console.print(f"{label:<12} {place}", highlight=False, soft_wrap=True)
    if "Pusher" not in steps:
        console.print("Verdict      none: the run was to stop before the Pusher")
        return
    if reasons := refusals(steps, evaluation):
        raise NotBlessedError("; ".join(reasons) + "; nothing was pushed")
    pushed = steps["Pusher"].outputs["pushed_model"][0].properties
    if not pushed["pushed"]:
        console.print(
            "[green]Verdict      blessed and proven to serve; not pushed, for push.enabled is "
            "false[/green]"
        )
        return
    served = succession.require_served(
        pushed["pushed_destination"], serving_dir, pushed.get("pushed_content", "")
    )
    if served != pushed["pushed_destination"]:
        console.print(f"Served       {served}, by a rollback", highlight=False, soft_wrap=True)
    if steps["Pusher"].state != "cached" and pushed["is_new"]:
        is_canary = pushed.get("label") == models_config.CANARY
        how = ", as a canary until `python -m pipeline promote`" if is_canary else ""
        console.print(f"[green]Verdict      blessed, proven to serve and pushed{how}[/green]")
        return
    console.print(
        "[green]Verdict      blessed; this very model is pushed already, nothing new[/green]"
    )


def refusals(steps: dict[str, Step], evaluation: Evaluation) -> list[str]:
    """Why a model that was measured was not pushed: it, or its files for phones; a sentence each.

    Args:
        steps: of the run, by node.
        evaluation: of the model.
    """
    files = _tflite_report(steps).reasons if "TFLite" in steps else ()
    return [*evaluation.reasons, *files]


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


def _places(steps: dict[str, Step], metadata: str) -> list[tuple[str, str]]:
    places = []
    if "Pusher" in steps:
        pushed = steps["Pusher"].outputs["pushed_model"][0].properties
        if pushed.get("pushed"):
            places.append(("Model", pushed["pushed_destination"]))
    if "Report" in steps:
        places.append(("Pictures", paths.join(_uri(steps, "Report", "page"), "index.html")))
    if "Tuner" in steps:
        places += [("Search", _search(steps["Tuner"]))]
    if "Trainer" in steps:
        run = _uri(steps, "Trainer", "model_run")
        places.append(("TensorBoard", tensorboard_command(run)))
    if "TFLite" in steps:
        places += [("TFLite", line) for line in _tflite_lines(_tflite_report(steps))]
    if "DriftGate" in steps:
        gate = _uri(steps, "DriftGate", "judged_report")
        content = report.from_json(paths.read_text(paths.join(gate, report.FILE)))
        places += [("Data", str(source)) for source in content.sources]
        places += [("Drift", line) for line in content.drift]
    if metadata:
        places.append(("Metadata", metadata))
    return places


def _search(step: Step) -> str:
    found = step.outputs["best_hyperparameters"][0].properties
    best = ", ".join(f"{path}={value}" for path, value in json.loads(found["values"]).items())
    trials = f"{found['trials']} trials" + (f", {found['failed']} failed" * bool(found["failed"]))
    return f"{best}; mean IoU {100 * found['score']:.1f} % after a trial's steps; {trials}"


def _tflite_report(steps: dict[str, Step]) -> TFLiteReport:
    return TFLiteReport.read(_uri(steps, "TFLite", "models"))


def _tflite_lines(found: TFLiteReport) -> list[str]:
    threads = texts.counted(found.threads, "thread")
    return [
        f"{each.kind}: none"
        if each.problem
        else f"{each.kind}: {each.size_bytes / 1e6:.2f} MB, {1e3 * each.seconds:.1f} ms on "
        f"{threads}, mean IoU {100 * each.mean_iou:.2f} % where the exported model has "
        f"{100 * found.mean_iou:.2f} %, the same class in {100 * each.agreement:.3f} % of pixels"
        for each in found.kinds
    ]


def tensorboard_command(folder: str) -> str:
    """What to type to see the curves in a folder."""
    return f"python -m pipeline tensorboard {shlex.quote(folder)}"


def _uri(steps: dict[str, Step], node: str, key: str) -> str:
    return steps[node].outputs[key][0].uri
