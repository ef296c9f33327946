"""Values: what the field's nouns are made of. No clock, no I/O, no lifetime.

Everyone may import this package. Money, prices in orders, quantities and balances are `Decimal`.
What a strategy reads as a signal (quotes, trades) carries floats, exact for every number of up to
15 significant digits; `instrument.Instrument` is the one home of the conversion between the two.
"""
