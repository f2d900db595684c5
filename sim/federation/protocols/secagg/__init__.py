"""SecAgg+ in messages: shares, key agreement, masks, graph, and both halves of a round.

Bonawitz et al. (2017) with the graph of neighbors of Bell et al. (2020).
"""
