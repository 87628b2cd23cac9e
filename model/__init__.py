"""The core: the feature schema, training, calibration and scoring. No I/O beyond its own artifacts, no clock."""
