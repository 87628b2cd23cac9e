"""What is said: Jinja2 templates in a sandbox, one file a part, `<playbook>.subject`, `<playbook>.text`, `<playbook>.html`.

All of them are checked before the first contact: a name that no decision has, a filter that does not exist, a value that cannot be shown.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from keepwell_delivery.facts import ESCALATION_SAMPLE, INTERVENTION_SAMPLE, Facts
from keepwell_delivery.receipt import RefusedError

PARTS = ("subject", "text", "html")
ESCALATION = "escalation"  # the playbook, so to speak, of every notice to a manager


class TemplatesError(Exception):
    """Templates are wrong; one line for each fault, with template, line and name."""


@dataclass(frozen=True)
class Wording:
    """What one contact says; a part without a template is empty."""

    subject: str
    text: str
    html: str


class Templates:
    """The templates of one folder, checked.

    Raises:
        TemplatesError: At least one is wrong; all faults are named.

    """

    def __init__(self, folder: Path) -> None:
        self._environment = ImmutableSandboxedEnvironment(
            loader=FileSystemLoader(folder),
            undefined=StrictUndefined,
            autoescape=lambda name: bool(name and name.endswith(".html")),
        )
        self._names = frozenset(
            path.name for path in folder.glob("*.*") if path.is_file() and path.suffix.removeprefix(".") in PARTS
        )
        faults = [fault for name in sorted(self._names) for fault in self._faults(name)]
        if not folder.is_dir():
            faults = [f"{folder}: no such folder"]
        if faults:
            raise TemplatesError("\n".join(faults))

    def wording(self, playbook: str, facts: Facts) -> Wording:
        """Return what a playbook says about the facts.

        Raises:
            RefusedError: There is no text for the playbook, or these facts do not fit it.

        """
        if f"{playbook}.text" not in self._names:
            raise RefusedError(f"no template {playbook}.text")
        return Wording(*(self._part(f"{playbook}.{part}", facts) for part in PARTS))

    def _part(self, name: str, facts: Facts) -> str:
        if name not in self._names:
            return ""
        try:
            return self._environment.get_template(name).render(facts)
        except Exception as error:  # a template is a program of the operator's: it can raise anything
            raise RefusedError(f"template {name} failed: {type(error).__name__}") from error

    def _faults(self, name: str) -> Iterator[str]:
        sample = ESCALATION_SAMPLE if name.startswith(f"{ESCALATION}.") else INTERVENTION_SAMPLE
        try:
            source, _, _ = self._environment.loader.get_source(self._environment, name)  # type: ignore[union-attr]
            unknown = sorted(_unknown(self._environment.parse(source, name), sample))
            for line, variable in unknown:
                yield f"{name}:{line}: unknown variable {variable!r}; known: {', '.join(sorted(sample))}"
            if not unknown:
                self._environment.get_template(name).render(sample)
        except TemplateSyntaxError as error:
            yield f"{name}:{error.lineno}: {error.message}"
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            yield f"{name}:{_line(error, name)}: {error}"


def _unknown(tree: nodes.Template, facts: Facts) -> Iterator[tuple[int, str]]:
    """Yield line and name of what a template reads and nobody gives it."""
    own = {node.name for node in tree.find_all(nodes.Name) if node.ctx in {"store", "param"}}
    for node in tree.find_all(nodes.Name):
        if node.ctx == "load" and node.name not in facts and node.name not in own and node.name not in _BUILT_IN:
            yield node.lineno, node.name


_BUILT_IN = frozenset({"range", "dict", "lipsum", "cycler", "joiner", "namespace", "loop"})


def _line(error: BaseException, name: str) -> Any:
    """Return the template's line that an error came from; Jinja puts it into the traceback."""
    line = 1
    trace = error.__traceback__
    while trace:
        if Path(trace.tb_frame.f_code.co_filename).name == name:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
