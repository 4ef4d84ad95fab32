"""Every cause from outside, drawn or read: failures, weather, faults, arrivals, maintenance.

Each is a `Record` at a time. A run writes its records to `inputs.arrow`; the same run reading
that file is the same, byte for byte, and another plant under the same records is its
counterfactual.
"""
