"""How long the past is kept: no window, cooldown or hysteresis may look back further."""

HISTORY_RETENTION_MS = 90 * 86_400_000
