"""The only way out of the browsers: one proxy port per context, every address checked before it is dialled."""
