"""Training: what leads did, snapshots split by time, CatBoost, calibration, baselines, figures with intervals, an artifact folder.

`train.py` is the flow from top to bottom. Serving imports nothing from here.
"""
