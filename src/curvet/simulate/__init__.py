"""Real trainings of tiny nets, many side by side, each with one injected cause."""
