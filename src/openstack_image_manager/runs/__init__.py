"""The use cases: from definitions and clouds to plans, and from plans to results."""
