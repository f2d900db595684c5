"""What the aggregator is left to see of the hospitals' updates; one form of secure aggregation a
file.
"""
