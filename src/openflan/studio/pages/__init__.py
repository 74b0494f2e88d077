"""The studio's pages, one module a part of the menu; each has `routes(studio)`."""
