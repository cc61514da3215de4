"""What the analyses ask: nodes and what a call to one costs, budgets, routing, execution and validation of answers."""
