"""Which steps run, in which order, on what: the one graph of every runner.

What a run computes comes from `PipelineConfig` and is part of the steps' cache keys; where it runs
reaches them by `components.runtime` and is not.
"""

import json

import schemas
from components import tfx
from components.data_gate.component import DataGate, DriftGate
from components.evaluator.component import Evaluator
from components.evaluator.config import eval_config
from components.example_gen.component import ImportExampleGen
from components.fingerprint import source_fingerprint
from components.initial_weights.component import InitialWeights
from components.report.component import Report
from components.schema_gen.component import ImportSchemaGen
from components.serving.baseline import Baseline
from components.serving.check.component import ServingCheck
from components.serving.pusher import Pusher
from components.sources import Sources
from components.statistics_gen import StatisticsGen
from components.tflite.component import TFLite
from components.transform.component import Transform
from components.tuner.component import Tuner
from pipeline.config import PipelineConfig
from pipeline.inputs import Inputs

TRAIN, VAL = "train", "val"

UNCACHED_WHERE_UNKNOWN = ("Sources",)
"""Steps that look at something outside the pipeline. A runner that sees it puts what it saw into
their cache keys, see `Inputs`; one that does not must run them anew every time."""


def create_pipeline(
    config: PipelineConfig,
    inputs: Inputs,
    *,
    pipeline_root: str,
    baseline: str | None = None,
    metadata_connection=None,
    enable_cache: bool = True,
) -> tfx.dsl.Pipeline:
    """The pipeline from TFRecords to a judged, proven and pushed model.

    Args:
        config: what is computed.
        inputs: what it builds on.
        pipeline_root: below it lie the artifacts of every step.
        baseline: see `Inputs.seen`.
        metadata_connection: of ML Metadata; None where the orchestrator has its own.
        enable_cache: whether finished steps are reused.
    """
    dataset = inputs.dataset
    description = schemas.to_json(dataset)
    patterns = json.dumps({TRAIN: config.data.train_pattern, VAL: config.data.val_pattern})
    weights = config.initial_weights.model_dump_json()
    seen = inputs.seen(config, baseline)
    looked = Sources(
        folder=inputs.records,
        patterns=patterns,
        window=config.data.span_window,
        weights=weights,
        name=config.name,
        recipe=inputs.recipe(config),
        push=int(config.push.enabled),
        seen="" if seen is None else json.dumps(seen),
        source_fingerprint=source_fingerprint("components.sources"),
    )
    # As artifacts they would void what takes them when any of them changes: TFX's local runner
    # knows them by their numbers, Kubeflow by their values.
    found = seen or {key: channel.future()[0].value for key, channel in looked.outputs.items()}
    served = Baseline(
        name=config.name,
        version=found["baseline"],
        source_fingerprint=source_fingerprint("components.serving.baseline"),
    )
    initial_weights = InitialWeights(
        options=weights,
        network=json.dumps(config.model.arguments(dataset.num_classes, config.data.canvas_size)),
        class_names=json.dumps(dataset.class_names),
        tuned_batch_norm=config.training.tuned_batch_norm,
        name=config.name,
        digest=found["weights_state"],
        # Not of what downloads and unpacks: the same file gives the same weights.
        source_fingerprint=source_fingerprint("models"),
    )
    example_gen = ImportExampleGen(
        folder=inputs.records,
        patterns=patterns,
        window=config.data.span_window,
        digest=found["records_state"],
        source_fingerprint=source_fingerprint("components.example_gen"),
    )
    # Weights that do not fit fail before the data steps, which take longer.
    example_gen.add_upstream_node(initial_weights)
    examples = example_gen.outputs["examples"]
    schema_gen = ImportSchemaGen(
        text=inputs.schema, source_fingerprint=source_fingerprint("components.schema_gen")
    )
    # What is wrong with the run is found before anything is made.
    for step in (served, initial_weights, example_gen, schema_gen):
        step.add_upstream_node(looked)
    schema = schema_gen.outputs["schema"]
    statistics_gen = StatisticsGen(examples=examples, schema=schema)
    example_validator = tfx.components.ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema
    )
    data_gate = DataGate(
        examples=examples,
        anomalies=example_validator.outputs["anomalies"],
        dataset=description,
        accept=json.dumps(config.gate.accept),
        max_pixels=config.data.max_pixels,
        max_bytes=config.data.max_bytes,
        source_fingerprint=source_fingerprint("components.data_gate"),
    )
    drift_gate = DriftGate(
        data_report=data_gate.outputs["data_report"],
        served_report=served.outputs["data_report"],
        dataset=description,
        options=config.gate.model_dump_json(),
        source_fingerprint=source_fingerprint("components.data_gate"),
    )
    transform = Transform(
        schema=schema,
        data_report=data_gate.outputs["data_report"],
        dataset=description,
        split=TRAIN,
        canvas_size=config.data.canvas_size,
        max_pixels=config.data.max_pixels,
        max_bytes=config.data.max_bytes,
        source_fingerprint=source_fingerprint("components.transform"),
    )
    # Everything that learns from or is measured on the data follows the gates through Transform.
    transform.add_upstream_node(drift_gate)
    inputs_of_training = {
        "examples": examples,
        "transform_graph": transform.outputs["transform_graph"],
        "base_model": initial_weights.outputs["weights"],
    }
    tuners = [_tuner(config, dataset, inputs_of_training)] if config.tuner.trials else []
    trainer = tfx.components.Trainer(
        run_fn="components.trainer.run.run_fn",
        **inputs_of_training,
        hyperparameters=tuners[0].outputs["best_hyperparameters"] if tuners else None,
        train_args=tfx.proto.TrainArgs(splits=[TRAIN], num_steps=config.training.steps),
        eval_args=tfx.proto.EvalArgs(splits=[VAL]),
        custom_config={
            "config": config.trainer_config(dataset).to_json(),
            "source_fingerprint": source_fingerprint("components.trainer"),
        },
    )
    model = trainer.outputs["model"]
    evaluator = Evaluator(
        examples=examples,
        model=model,
        baseline_model=served.outputs["model"],
        eval_config=eval_config(config.evaluation, dataset),
        example_splits=[VAL],
    )
    data = {key: inputs_of_training[key] for key in ("examples", "transform_graph")}
    tflites = [_tflite(config, dataset, trainer, evaluator, data)] if config.tflite.kinds else []
    for_phones = {"tflite": tflites[0].outputs["models"]} if tflites else {}
    report = Report(
        model=model,
        examples=examples,
        evaluation=evaluator.outputs["evaluation"],
        data_report=drift_gate.outputs["judged_report"],
        model_run=trainer.outputs["model_run"],
        dataset=description,
        split=VAL,
        pictures=config.report.pictures,
        **for_phones,
        source_fingerprint=source_fingerprint("components.report"),
    )
    serving_check = ServingCheck(
        model=model,
        examples=examples,
        split=VAL,
        num_classes=dataset.num_classes,
        ignore_label=dataset.ignore_label,
        options=config.serving.to_json(),
        batch_sizes=json.dumps(config.push.batch_sizes),
        warm_up_records=config.push.warm_up_records,
        # The stand-in runs in a process of its own, which no import shows.
        source_fingerprint="".join(
            source_fingerprint(f"components.serving.{part}") for part in ("check", "server")
        ),
    )
    pusher = Pusher(
        model=model,
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=serving_check.outputs["blessing"],
        evaluation=evaluator.outputs["evaluation"],
        data_report=drift_gate.outputs["judged_report"],
        name=config.name,
        pipeline=config.pipeline_name,
        made_from=found["made_from"],
        records_state=found["records_state"],
        weights_state=found["weights_state"],
        origin=inputs.origin(config),
        options=config.push.model_dump_json(),
        source_fingerprint=source_fingerprint("components.serving.pusher"),
        **for_phones,
    )
    pusher.add_upstream_node(looked)
    return tfx.dsl.Pipeline(
        pipeline_name=config.pipeline_name,
        pipeline_root=pipeline_root,
        components=[
            looked,
            served,
            initial_weights,
            example_gen,
            schema_gen,
            statistics_gen,
            example_validator,
            data_gate,
            drift_gate,
            transform,
            *tuners,
            trainer,
            evaluator,
            *tflites,
            report,
            serving_check,
            pusher,
        ],
        enable_cache=enable_cache,
        metadata_connection_config=metadata_connection,
    )


def _tuner(config: PipelineConfig, dataset: schemas.Dataset, inputs: dict) -> Tuner:
    """The search for better options, on the Trainer's own inputs."""
    return Tuner(
        tuner_fn="components.tuner.search.tuner_fn",
        **inputs,
        train_args=tfx.proto.TrainArgs(splits=[TRAIN], num_steps=config.tuner.steps_per_trial),
        eval_args=tfx.proto.EvalArgs(splits=[VAL]),
        custom_config={
            "config": config.trial_config(dataset).to_json(),
            "options": config.tuner.to_json(),
            "source_fingerprint": source_fingerprint("components.tuner"),
        },
    )


def _tflite(
    config: PipelineConfig, dataset: schemas.Dataset, trainer, evaluator: Evaluator, data: dict
) -> TFLite:
    """The files for phones, of a model that the Evaluator has judged."""
    return TFLite(
        model=trainer.outputs["model"],
        evaluation=evaluator.outputs["evaluation"],
        **data,
        training_split=TRAIN,
        split=VAL,
        dataset=schemas.to_json(dataset),
        options=config.tflite.to_json(),
        source_fingerprint=source_fingerprint("components.tflite"),
    )
