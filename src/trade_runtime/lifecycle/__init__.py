"""How things begin and end: layers, the ladder of deadlines, supervision, the stop report."""
