"""From what was found on this machine to questions, and from questions to answers that can be checked. Pure code."""
