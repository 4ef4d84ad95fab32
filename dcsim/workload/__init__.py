"""What work costs: parallel layouts, memory, collectives, step time, checkpoints.

Pure functions of numbers, usable without any simulation.
"""
