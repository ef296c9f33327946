"""What the tests of the core share: short ways to say values, a market and a world in memory."""
