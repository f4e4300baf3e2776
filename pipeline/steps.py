"""The names of the steps, known without TFX: for the command line, and for what is set by step."""

ON_BEAM = (
    "ImportExampleGen",
    "StatisticsGen",
    "DataGate",
    "Evaluator",
)
"""Steps that run on Beam."""

ALL = (
    "Sources",
    "Baseline",
    "InitialWeights",
    "ImportExampleGen",
    "ImportSchemaGen",
    "StatisticsGen",
    "ExampleValidator",
    "DataGate",
    "DriftGate",
    "Transform",
    "Tuner",
    "Trainer",
    "Evaluator",
    "TFLite",
    "Report",
    "ServingCheck",
    "Pusher",
)
"""Every step of `pipeline.graph`, in an order in which they can run."""

OPTIONAL = ("Tuner", "TFLite")
"""Steps that a run has only where its configuration asks for them."""
