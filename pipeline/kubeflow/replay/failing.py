"""How a step fails."""


class StepFailedError(Exception):
    """A step has failed, in the driver, in its command or in the launcher.

    Attributes:
        code: its exit code; 1 where it is not the command that failed.
    """

    def __init__(self, code: int, reason: str):
        super().__init__(reason)
        self.code = code
