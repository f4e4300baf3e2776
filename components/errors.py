"""What can stop a run, by cause; the runners turn each cause into its own exit code."""


class PipelineError(Exception):
    """A failure whose message is meant for the person who started the run."""

    headline = "The run failed"
    exit_code = 1


class ConfigError(PipelineError):
    """The command line, the configuration or the machine does not allow a run."""

    headline = "Configuration error"
    exit_code = 2


class DataError(PipelineError):
    """The data is missing, unreadable or breaks the data set's schema."""

    headline = "Bad data"
    exit_code = 3


class NotBlessedError(PipelineError):
    """The candidate was trained and measured, and refused by the model gate."""

    headline = "Not blessed"
    exit_code = 4


class ServingError(PipelineError):
    """The exported model does not load or does not answer as a served model must."""

    headline = "Serving check failed"
    exit_code = 5
