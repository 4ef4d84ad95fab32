"""Physics, one mechanism a file: its kernels, its three verbs, one docstring."""
