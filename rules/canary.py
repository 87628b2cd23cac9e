"""A policy's first run, in a child process that may crash: `python -m rules.canary` reads its text on stdin.

The engine beneath is C code that a ruleset can crash or hang. A policy is used only after a child has loaded it and has answered
a set of boundary facts exactly as the plain interpreter does.
"""

import random
import resource
import subprocess
import sys
from collections.abc import Iterator

from rules.compiled import CompiledPolicy, FactValue
from rules.compiler import compile_policy
from rules.diagnostics import Diagnostic, PolicyInvalidError
from rules.engine import RuleEngine
from rules.reference import true_rules
from rules.rulebook import phrase
from rules.sheet import written

VECTORS = 500
MEMORY_BYTES = 2 << 30


def boundary_values(policy: CompiledPolicy) -> dict[str, list[FactValue]]:
    """Return, for each fact, its constants and their neighbours on both sides."""
    found: dict[str, list[FactValue]] = {fact: [] for fact in policy.facts}
    for rule in policy.rules:
        for leaf in rule.leaves:
            found[leaf.fact] += _near(leaf.constant)
    return found


def _near(constant: FactValue) -> list[FactValue]:
    if isinstance(constant, bool):
        return [True, False]
    if isinstance(constant, str):
        return [constant, constant + "x", ""]
    return (
        [constant, constant - 1, constant + 1]
        if isinstance(constant, int)
        else [constant, constant - 1e-9, constant + 1e-9]
    )


def vectors(policy: CompiledPolicy, count: int) -> Iterator[dict[str, FactValue]]:
    """Yield fact vectors made of boundary values; the same ones every time."""
    values = boundary_values(policy)
    draw = random.Random(policy.version)
    for _ in range(count):
        yield {fact: draw.choice(choices) for fact, choices in values.items()}


def disagreements(policy: CompiledPolicy, count: int = VECTORS) -> list[str]:
    """Return the rules about which the engine and the interpreter differ."""
    engine = RuleEngine(policy)
    differing: set[int] = set()
    for facts in vectors(policy, count):
        message = ",".join(f'"{fact}":{written(value)}' for fact, value in facts.items())
        differing |= set(engine.fired(message)) ^ set(true_rules(policy.rules, facts))
    engine.close()
    return sorted({phrase(policy.rules[rule].leaves) for rule in differing})


def check_in_subprocess(source: str, timeout_seconds: float) -> None:
    """Let a child process try a policy; raises PolicyInvalidError when it crashes, hangs, or is answered wrongly."""
    command = [sys.executable, "-m", "rules.canary"]
    try:
        # As bytes: what a text is in this process's locale and in the child's is not for us to say.
        given = source.encode()
        child = subprocess.run(command, input=given, capture_output=True, timeout=timeout_seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise _rejected(f"the engine took longer than {timeout_seconds:g} s") from error
    if child.returncode != 0:
        said = child.stderr.decode(errors="replace").strip()[-500:]
        raise _rejected(said or f"the engine ended with {child.returncode}")


def _rejected(message: str) -> PolicyInvalidError:
    return PolicyInvalidError([Diagnostic("error", "engine_rejected", "", 1, 1, message)])


def main() -> int:
    """Try the policy on stdin; return the exit code."""
    from rules.source import content_hash, read_policy

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    document = read_policy(sys.stdin.buffer.read().decode())
    differing = disagreements(compile_policy(document, content_hash(document)))
    if differing:
        print(f"engine and interpreter differ about {len(differing)} rules, such as: {differing[0]}", file=sys.stderr)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
