//! Where events go: the terminal, or one JSON object a line.
