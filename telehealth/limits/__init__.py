"""Limits shape load: so many a second, and a reserve; whoever is known is not held up by a stranger beside them."""
