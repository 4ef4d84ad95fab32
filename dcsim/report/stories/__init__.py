"""The story of one thing of a run, and what two runs have in common and where they part."""
