"""What Binance Spot and Binance USD-M Futures have in common: REST, its errors and its limits."""
