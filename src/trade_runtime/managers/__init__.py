"""The five layers, from the one that lives longest: state, venues, prices, orders, strategies.

Each module opens one layer and may import only the layers named before its own: it imports only
what outlives it. `runtime` nests them in this order; leaving the nest is the stop.
"""
