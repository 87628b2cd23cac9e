"""The feed: one reader a tenant follows the log, and every watcher of this process shares what it read."""
