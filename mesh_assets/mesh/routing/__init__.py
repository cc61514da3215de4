"""Which node is asked: what each would make of a case, what the money left buys, and why it was chosen.

Nothing here calls a node, keeps money or reads a setting.
"""
