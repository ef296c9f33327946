"""What Binance Spot and Binance USD-M Futures have in common.

rest                       the REST API: its errors and its limits
streams, book_sync         sans-I/O: frames of market data, and the order book kept in step
session, klines            a session on the streams; bars from before now
"""
