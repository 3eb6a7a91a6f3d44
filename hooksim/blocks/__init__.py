"""From rows to blocks to strips: the only owner of rows and Gram matrices.

A block knows how its kernel matrices come about and hands them out strip by strip; it knows
nothing of what is summed over them.
"""
