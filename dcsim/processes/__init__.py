"""Who decides: nodes, jobs, the scheduler, faults, and who writes down what happened."""
