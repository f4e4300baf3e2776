"""Which steps run, in which order, on what: the one graph of every runner."""

import dataclasses
import json
from typing import Any

from tfx import v1 as tfx
from tfx.proto import example_gen_pb2, pusher_pb2

import schemas
from components.artifacts import DataReport
from components.data_gate.component import DataGate
from components.errors import ConfigError
from components.evaluator.config import eval_config
from components.example_gen.component import ImportExampleGen
from components.fingerprint import source_fingerprint
from components.report.component import Report
from components.resolvers import (
    BlessedDataStrategy,
    GatedSpansStrategy,
    LatestOtherBlessedModelStrategy,
)
from components.schema_gen.component import ImportSchemaGen
from components.serving.check.component import ServingCheck
from components.transform.component import Transform
from models.deeplab import check_options
from pipeline import weights
from pipeline.config import PipelineConfig

TRAIN, VAL = "train", "val"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Environment:
    """Where a pipeline runs; all that differs between runners."""

    records: str
    """Folder of the TFRecords."""

    pipeline_root: str
    """Below it lie the artifacts of every step."""

    serving_dir: str
    """Pushed models go to `<serving_dir>/<version>/`."""

    training_dir: str
    """Checkpoints that outlive a killed run lie below it."""

    metadata_connection: Any = None
    """Connection of ML Metadata; None where the orchestrator has its own."""

    own_resolvers: bool = True
    """Whether `components.resolvers` finds what a run builds on; Kubeflow's compiler knows only
    TFX's strategies, and there the data gate has nothing to compare with, and spans no window."""

    has_spans: bool = False
    """Whether `records` holds `span-1/`, `span-2/`, … of which the newest is ingested."""

    enable_cache: bool = True
    """Whether finished steps are reused."""


def create_pipeline(config: PipelineConfig, environment: Environment) -> tfx.dsl.Pipeline:
    """The pipeline from TFRecords to a judged, proven and pushed model.

    Raises:
        ConfigError: no network can have these options.
    """
    dataset = schemas.load(config.data.dataset)
    _check_network(config, dataset)
    classes = {"num_classes": dataset.num_classes, "ignore_label": dataset.ignore_label}
    span = "span-{SPAN}/" if environment.has_spans else ""

    example_gen = ImportExampleGen(
        input_base=environment.records,
        input_config=example_gen_pb2.Input(
            splits=[
                example_gen_pb2.Input.Split(name=TRAIN, pattern=span + config.data.train_pattern),
                example_gen_pb2.Input.Split(name=VAL, pattern=span + config.data.val_pattern),
            ]
        ),
    )
    examples = example_gen.outputs["examples"]
    schema_gen = ImportSchemaGen(dataset=dataset.name, dataset_digest=schemas.digest(dataset.name))
    schema = schema_gen.outputs["schema"]
    statistics_gen = tfx.components.StatisticsGen(examples=examples, schema=schema)
    example_validator = tfx.components.ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema
    )
    resolvers = []
    blessed_data = None
    if environment.own_resolvers:
        blessed_data = _blessed_data(examples)
        resolvers.append(blessed_data)
    data_gate = DataGate(
        examples=examples,
        anomalies=example_validator.outputs["anomalies"],
        dataset=dataset.name,
        options=json.dumps(dataclasses.asdict(config.gate)),
        dataset_digest=schemas.digest(dataset.name),
        source_fingerprint=source_fingerprint("components.data_gate"),
        **({"blessed_report": blessed_data.outputs["report"]} if blessed_data else {}),
    )
    newest_examples = examples
    if environment.has_spans and environment.own_resolvers:
        spans = _spans(examples, config.data.span_window)
        spans.add_upstream_node(data_gate)
        resolvers.append(spans)
        examples = spans.outputs["examples"]
    transform = Transform(
        examples=examples,
        schema=schema,
        preprocessing_fn="components.transform.preprocessing.preprocessing_fn",
        splits_config=tfx.proto.SplitsConfig(analyze=[TRAIN], transform=[]),
        materialize=False,
        disable_statistics=True,
        custom_config={
            "canvas_size": config.data.canvas_size,
            "source_fingerprint": source_fingerprint("components.transform"),
            **classes,
        },
    )
    # Everything that learns from or is measured on the data follows the gate through Transform.
    transform.add_upstream_node(data_gate)
    trainer = tfx.components.Trainer(
        run_fn="components.trainer.run.run_fn",
        examples=examples,
        transform_graph=transform.outputs["transform_graph"],
        train_args=tfx.proto.TrainArgs(splits=[TRAIN], num_steps=config.training.steps),
        eval_args=tfx.proto.EvalArgs(splits=[VAL]),
        custom_config={
            "dataset": config.data.dataset,
            "canvas_size": config.data.canvas_size,
            "model": dataclasses.asdict(config.model),
            "training": dataclasses.asdict(config.training),
            "training_dir": environment.training_dir,
            "initial_weights": weights.stamp(config.training.initial_weights),
            "dataset_digest": schemas.digest(dataset.name),
            "source_fingerprint": source_fingerprint("components.trainer"),
        },
    )
    model = trainer.outputs["model"]
    baseline = _baseline(trainer, environment)
    evaluator = tfx.components.Evaluator(
        examples=examples,
        model=model,
        baseline_model=baseline.outputs["model"],
        eval_config=eval_config(config.evaluation, dataset),
        example_splits=[VAL],
    )
    report = Report(
        model=model,
        examples=newest_examples,
        evaluation=evaluator.outputs["evaluation"],
        dataset=config.data.dataset,
        split=VAL,
        pictures=config.report.pictures,
        dataset_digest=schemas.digest(dataset.name),
        source_fingerprint=source_fingerprint("components.report"),
    )
    serving_check = ServingCheck(
        model=model,
        examples=newest_examples,
        split=VAL,
        num_classes=dataset.num_classes,
        requests=config.serving.requests,
        timeout_seconds=config.serving.timeout_seconds,
        source_fingerprint=source_fingerprint("components.serving.check"),
    )
    pusher = tfx.components.Pusher(
        model=model,
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=serving_check.outputs["blessing"],
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=environment.serving_dir)
        ),
    )
    return tfx.dsl.Pipeline(
        pipeline_name=config.pipeline_name,
        pipeline_root=environment.pipeline_root,
        components=[
            example_gen,
            schema_gen,
            statistics_gen,
            example_validator,
            *resolvers,
            data_gate,
            transform,
            trainer,
            baseline,
            evaluator,
            report,
            serving_check,
            pusher,
        ],
        enable_cache=environment.enable_cache,
        metadata_connection_config=environment.metadata_connection,
        beam_pipeline_args=list(config.beam_pipeline_args),
    )


def _check_network(config: PipelineConfig, dataset: schemas.Dataset) -> None:
    """What the Trainer would find out only after the data steps."""
    class_weights = config.training.class_weights
    if isinstance(class_weights, tuple) and len(class_weights) != dataset.num_classes:
        raise ConfigError(
            f"expected training.class_weights with {dataset.num_classes} numbers, one for each "
            f"class of {dataset.name}; got {len(class_weights)}; to fix, give as many"
        )
    try:
        check_options(
            num_classes=dataset.num_classes,
            input_shape=(config.data.canvas_size, config.data.canvas_size, 3),
            **dataclasses.asdict(config.model),
        )
    except ValueError as error:
        raise ConfigError(f"model: {error}") from error


def _baseline(trainer, environment: Environment):
    """The node that finds the model to measure up to."""
    channels = {
        "model": tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        "model_blessing": tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
    }
    if environment.own_resolvers:
        strategy = LatestOtherBlessedModelStrategy
        channels["candidate"] = trainer.outputs["model"]
    else:
        strategy = tfx.dsl.experimental.LatestBlessedModelStrategy
    return tfx.dsl.Resolver(strategy_class=strategy, **channels).with_id("Baseline")


def _blessed_data(examples):
    """The node that finds what the data gate measured of the data behind the last blessed model."""
    return tfx.dsl.Resolver(
        strategy_class=BlessedDataStrategy,
        examples=examples,
        model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
        report=tfx.dsl.Channel(type=DataReport),
    ).with_id("BlessedData")


def _spans(examples, window: int):
    """The node that finds the records of the newest spans; it must follow the data gate."""
    return tfx.dsl.Resolver(
        strategy_class=GatedSpansStrategy,
        config={"window": window},
        current=examples,
        examples=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Examples),
        report=tfx.dsl.Channel(type=DataReport),
    ).with_id("Spans")
