"""What is wrong, or doubtful, about a policy's text: a code, a place, and what is allowed there."""

from typing import Literal, NamedTuple


class Diagnostic(NamedTuple):
    """One finding; line and column count from 1."""

    severity: Literal["error", "warning"]
    code: str
    path: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        what = f"{self.code} {self.path}" if self.path else self.code
        return f"{self.line}:{self.column} {self.severity} {what}: {self.message}"


class PolicyInvalidError(Exception):
    """The policy cannot be used; `diagnostics` says why, line by line."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        super().__init__("\n".join(map(str, diagnostics)))
        self.diagnostics = diagnostics
