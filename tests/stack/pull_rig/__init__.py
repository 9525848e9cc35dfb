"""A rig that pulls the sandbox's world by worker processes which it kills, trips and deceives; then it judges the lake.

Shared by the tests of this folder and `benchmarks/pull_faults.py`.
"""
