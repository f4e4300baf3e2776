"""What a dry run prints: the graph, the configuration, the environment."""

from rich.console import Console

from pipeline.config import PipelineConfig
from pipeline.environment import Environment


def show(console: Console, config: PipelineConfig, environment: Environment, pipeline) -> None:
    """Prints the steps in the order in which they run, what they compute, and where.

    Of secrets only the names of their environment variables are known here.
    """
    console.print(f"[bold]{config.name}[/bold]")
    for node in pipeline.components:
        upstream = sorted(node.id for node in node.upstream_nodes)
        after = f"after {', '.join(upstream)}" if upstream else ""
        console.print(f"  {node.id:<18} {after}".rstrip(), highlight=False)
    console.print("[bold]configuration[/bold]")
    console.print_json(config.to_json())
    console.print("[bold]environment[/bold]")
    console.print_json(environment.model_dump_json())
