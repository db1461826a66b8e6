"""Opens and clicks: links that lead by us, what came of each mail, and machines told apart from people."""
