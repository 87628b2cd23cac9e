import subprocess
import sys

PROGRAM = """
import structlog
from server.logs import configure_logs

configure_logs("error")
lead_id = "lead-4711"
try:
    int("x")
except ValueError:
    structlog.get_logger().exception("broken")
"""


def test_a_stack_in_the_log_shows_no_values_of_variables() -> None:
    line = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stderr
    assert '"exc_type":"ValueError"' in line
    assert "lead-4711" not in line
